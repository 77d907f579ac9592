package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func policySimulate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "simulate -f FILE [--cases FILE]", Short: "Say who would be stopped by another policy that is not stopped now",
		Long: "Tries requests on the policy in force and on a new document, and shows whose answer would change. Without\n" +
			"--cases every active person of the practice is tried, freshly signed in with what they have, on every\n" +
			"path that a rule of either document names. Nothing is changed or applied.\n\n" +
			"Cases are a YAML or JSON list of: name, user or roles, level, second_factor, proved_ago, method, path, client.",
		RunE: on(simulatePolicy, "practice", "file"),
	}
	cmd.Flags().StringP("file", "f", "", "the new document, YAML or JSON")
	cmd.Flags().String("cases", "", "file with the requests to try (default: everybody on every rule's path)")
	cmd.Flags().Bool("all", false, "show the requests whose answer stays, too")
	return cmd
}

// simulated is one case for programs.
type simulated struct {
	Name    string  `json:"name"`
	Subject string  `json:"subject"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Effect  string  `json:"effect"` // stopped, opened, changed (another proof is asked for) or same
	Now     outcome `json:"now"`
	New     outcome `json:"new"`
}

// outcome is a decision for programs.
type outcome struct {
	Verdict   policy.Verdict  `json:"verdict"`
	Reason    policy.Reason   `json:"reason"`
	Rule      string          `json:"rule,omitempty"`
	Need      policy.Level    `json:"need,omitempty"`
	MaxAge    policy.Duration `json:"max_age,omitempty"`
	WouldStop policy.Reason   `json:"would_stop,omitempty"` // a rule in stage report
}

func outcomeOf(d policy.Decision) outcome {
	return outcome{
		Verdict: d.Verdict(), Reason: d.Reason(), Rule: d.Rule(), Need: d.Need(), MaxAge: policy.Duration(d.MaxAge()), WouldStop: d.WouldStop(),
	}
}

func effectOf(o policy.Outcome) string {
	switch {
	case o.Old.Allowed() && !o.New.Allowed():
		return "stopped"
	case o.Widens():
		return "opened"
	case o.Changed():
		return "changed"
	}
	return "same"
}

func simulatePolicy(ctx context.Context, c *call) error {
	p, err := c.usable()
	if err != nil {
		return err
	}
	doc, _, err := c.readDocument(text(c.cmd, "file"))
	if err != nil {
		return err
	}
	if doc.Practice != p.ID {
		return refuse("the document is of practice %s, not of %s", doc.Practice, p.ID)
	}
	next, err := policy.Compile(doc, c.platform)
	if err != nil {
		return err
	}
	cases, err := c.cases(ctx, p, next)
	if err != nil {
		return err
	}
	return c.printSimulation(p, c.tryCases(p, next, cases))
}

// tryCases tries all cases on both policies.
func (c *call) tryCases(p *directory.Practice, next *policy.Policy, cases []trial) []simulated {
	plain := make([]policy.Case, len(cases))
	for i, t := range cases {
		plain[i] = t.Case
	}
	results := make([]simulated, len(cases))
	for i, o := range policy.Simulate(p.Policy, next, plain) {
		results[i] = simulated{
			Name: o.Case.Name, Subject: cases[i].subject, Method: o.Case.Request.Method, Path: o.Case.Request.Path,
			Effect: effectOf(o), Now: outcomeOf(o.Old), New: outcomeOf(o.New),
		}
	}
	return results
}

func (c *call) printSimulation(p *directory.Practice, results []simulated) error {
	count := map[string]int{"stopped": 0, "opened": 0, "changed": 0, "same": 0}
	report := 0
	shown := []simulated{}
	for _, r := range results {
		count[r.Effect]++
		if r.New.WouldStop != "" {
			report++
		}
		if r.Effect != "same" || yes(c.cmd, "all") {
			shown = append(shown, r)
		}
	}
	slices.SortStableFunc(shown, func(a, b simulated) int { return rank(a.Effect) - rank(b.Effect) })
	view := map[string]any{
		"practice": p.ID, "version": p.Version, "tried": len(results), "stopped": count["stopped"], "opened": count["opened"],
		"changed": count["changed"], "same": count["same"], "would_stop": report, "cases": shown,
	}
	return c.print(view, func(w io.Writer) {
		if len(shown) > 0 {
			table(w, []string{"EFFECT", "WHO", "REQUEST", "NOW", "THEN", "WHY"}, simulationRows(shown))
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s tried against version %d of %s: %d would be stopped that are not stopped now, %d let through that are "+
			"stopped now, %d asked for another proof; %d stay as they are.\n",
			counted(len(results), "request"), p.Version, p.ID, count["stopped"], count["opened"], count["changed"], count["same"])
		if report > 0 {
			fmt.Fprintf(w, "%d would be let through and reported, by a rule in stage report.\n", report)
		}
	})
}

func rank(effect string) int {
	return slices.Index([]string{"stopped", "changed", "opened", "same"}, effect)
}

func simulationRows(results []simulated) [][]string {
	rows := make([][]string, len(results))
	for i, r := range results {
		who := r.Name
		if who == "" {
			who = r.Subject
		}
		rows[i] = []string{r.Effect, who, r.Method + " " + r.Path, r.Now.String(), r.New.String(), strings.TrimSpace(string(r.New.Reason) + " " + r.New.Rule)}
	}
	return rows
}

// String is the outcome in a word or two: "step_up aal2".
func (o outcome) String() string {
	if o.Verdict == policy.Allow || o.Need == policy.LevelNone {
		return o.Verdict.String()
	}
	return o.Verdict.String() + " " + o.Need.String()
}
