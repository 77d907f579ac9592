package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func practiceSuspend() *cobra.Command {
	cmd := &cobra.Command{
		Use: "suspend ID", Short: "Stop serving a practice: nobody is let in, live sessions stop", Args: one("the id of a practice"),
		RunE: on(func(ctx context.Context, c *call) error {
			return c.switchPractice(ctx, true, "practice_suspended", "suspended", c.Directory.Suspend)
		}),
	}
	reasonFlag(cmd)
	return cmd
}

func practiceResume() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume ID", Short: "Serve a suspended practice again", Args: one("the id of a practice"),
		RunE: on(func(ctx context.Context, c *call) error {
			return c.switchPractice(ctx, false, "practice_resumed", "served", c.Directory.Resume)
		}),
	}
	reasonFlag(cmd)
	return cmd
}

// switchPractice suspends or resumes. What is so already is neither changed nor recorded.
func (c *call) switchPractice(ctx context.Context, suspended bool, action, state string,
	change func(context.Context, policy.PracticeID, directory.Author) error,
) error {
	p, err := c.named(c.args[0])
	if err != nil {
		return err
	}
	changed := p.Suspended != suspended
	if changed {
		err = c.recorded(ctx, p.ID, c.event(audit.Policy, action, string(p.ID)), func() error {
			return change(ctx, p.ID, directory.Author{Who: actor(), Why: text(c.cmd, "reason")})
		})
	}
	if err != nil {
		return err
	}
	return c.print(map[string]any{"practice": p.ID, "state": state, "changed": changed}, func(w io.Writer) {
		if changed {
			fmt.Fprintf(w, "%s is %s now.\n", p.ID, state)
		} else {
			fmt.Fprintf(w, "%s was %s already.\n", p.ID, state)
		}
	})
}
