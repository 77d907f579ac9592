package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func policyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain --path PATH [--user PERSON | --role ROLE…]", Short: "Say whether a request is let through, and why",
		Long: "Says what the policy in force decides about a request, step by step. Without --user and --role nobody is\n" +
			"signed in. Without --level a person has proved what their sign-in gives.",
		Example: "  gateway policy explain -p harbour --path /prescriptions/7 --method POST --role clinician --level aal1",
		RunE:    on(explainPolicy, "practice", "path"),
	}
	cmd.Flags().String("path", "", "path of the request, as the browser sends it")
	cmd.Flags().String("method", "GET", "method of the request")
	cmd.Flags().String("client", "", "address of the client (default: one that network.allow admits)")
	cmd.Flags().String("user", "", "who asks: e-mail address or id")
	cmd.Flags().StringArray("role", nil, "somebody with this role (repeatable), instead of --user")
	cmd.Flags().String("level", "", "level proved in the session: aal1, aal2 or aal2-pr")
	cmd.Flags().Bool("second-factor", false, "with --role: a second factor is set up")
	cmd.Flags().String("proved-ago", "0s", "how long ago the level was proved")
	return cmd
}

// explained is an explanation for programs.
type explained struct {
	policy.Explanation
	Version   int64  `json:"version"`
	Suspended bool   `json:"suspended,omitempty"`
	Method    string `json:"method"`
	Path      string `json:"path"`
	Client    string `json:"client"`
	Subject   string `json:"subject"`
	Roles     any    `json:"roles"`
	Level     string `json:"level"`
}

func explainPolicy(ctx context.Context, c *call) error {
	p, err := c.usable()
	if err != nil {
		return err
	}
	q := question{
		User: text(c.cmd, "user"), Roles: texts(c.cmd, "role"), Level: text(c.cmd, "level"), SecondFactor: yes(c.cmd, "second-factor"),
		Method: text(c.cmd, "method"), Path: text(c.cmd, "path"), Client: text(c.cmd, "client"),
	}
	if q.ProvedAgo, err = policy.ParseDuration(text(c.cmd, "proved-ago")); err != nil {
		return usage("--proved-ago: %w", err)
	}
	now := c.Now()
	request, err := q.request(p.Policy, now)
	if err != nil {
		return err
	}
	subject, err := c.subject(ctx, p, q, now)
	if err != nil {
		return err
	}
	e := explained{
		Explanation: p.Policy.Explain(subject, request), Version: p.Version, Suspended: p.Suspended,
		Method: request.Method, Path: request.Path, Client: request.Client.String(), Subject: describe(q, subject), Roles: []string{},
	}
	if subject != nil {
		e.Roles, e.Level = list(subject.Roles), subject.Level.String()
	}
	return c.print(e, func(w io.Writer) { e.print(w, p, q) })
}

func (e explained) print(w io.Writer, p *directory.Practice, q question) {
	fmt.Fprintf(w, "%s %s from %s, by %s\n", show(e.Method), show(e.Path), e.Client, show(e.Subject))
	fmt.Fprintf(w, "under version %d of the policy of %s:\n\n", e.Version, p.ID)
	if p.Suspended {
		fmt.Fprintf(w, "%s is suspended: nobody is let in. Were it served:\n", p.ID)
	}
	if path, _, _ := strings.Cut(q.Path, "?"); e.Reason == policy.ReasonPathRefused {
		if _, err := policy.CanonicalPath(path); err != nil {
			fmt.Fprintf(w, "The path is ambiguous and is refused before any rule is asked: %v.\n", err)
		}
	}
	fmt.Fprint(w, e.Explanation.String())
}
