package command

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/config"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func practiceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one practice, also a removed one", Args: one("the id of a practice"),
		RunE: on(func(ctx context.Context, c *call) error {
			v, p, err := c.status(ctx, c.args[0])
			if err != nil {
				return err
			}
			return c.print(v, func(w io.Writer) {
				facts(w, "Practice", v.Practice, "Name", v.Name, "State", v.State, "Problem", v.Problem,
					"Policy version", strconv.FormatInt(v.Version, 10), "Hosts", strings.Join(v.Hosts, ", "),
					"Backends", strings.Join(v.Upstreams, ", "), "Last changed", when(*v.Changed, p), "By", v.By, "Why", v.Why)
			})
		}),
	}
}

// status is all that the registry says of a practice. The practice is nil when it was
// removed.
func (c *call) status(ctx context.Context, name string) (practiceView, *directory.Practice, error) {
	id, err := policy.ParsePracticeID(name)
	if err != nil {
		return practiceView{}, nil, usage("%.60q is no practice id: %w", name, err)
	}
	status, err := c.Directory.Status(ctx, id)
	if errors.Is(err, directory.ErrUnknown) {
		_, err = c.named(name)
	}
	if err != nil {
		return practiceView{}, nil, err
	}
	v := practiceView{Practice: string(id), State: "removed", Version: status.Version, Hosts: []string{}, Upstreams: []string{}}
	p := c.Directory.ByID(id)
	if p != nil {
		v = viewOf(p)
	}
	v.Changed, v.By, v.Why = stamp(status.Changed), status.By.Who, status.By.Why
	return v, p, nil
}

func practiceExport() *cobra.Command {
	return &cobra.Command{
		Use: "export ID", Short: "Write a practice's policy, to be changed and applied again", Args: one("the id of a practice"),
		Long: "Writes the policy in force as YAML (with --json as JSON). `gateway practice apply` takes either back.",
		RunE: on(func(ctx context.Context, c *call) error {
			p, err := c.named(c.args[0])
			if err != nil {
				return err
			}
			_, doc, err := c.Directory.Version(ctx, p.ID, p.Version)
			if err != nil {
				return err
			}
			if c.wantsJSON() {
				return writeJSON(c.out(), doc)
			}
			text, err := config.EncodeDocument(doc)
			if err != nil {
				return err
			}
			_, err = c.out().Write(text)
			return err
		}),
	}
}
