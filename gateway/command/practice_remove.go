package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/database"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func practiceRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove ID", Short: "Take a practice away: its people, sessions and log are put aside", Args: one("the id of a practice"),
		Long: "Stops serving the practice, frees its hosts, and moves its database to the folder \"removed\" of the state.\n" +
			"The history of its policy stays. The id can be used again, for a practice that begins empty.",
		RunE: on(removePractice),
	}
	cmd.Flags().Bool("yes", false, "do not ask")
	reasonFlag(cmd)
	return cmd
}

func removePractice(ctx context.Context, c *call) error {
	id, err := policy.ParsePracticeID(c.args[0])
	if err != nil {
		return usage("%.60q is no practice id: %w", c.args[0], err)
	}
	if c.Directory.ByID(id) == nil {
		return c.finishRemoval(ctx, id)
	}
	question := fmt.Sprintf("%s will be served no more, and its people, sessions and audit log put aside.", id)
	if err := c.confirm(ctx, question, string(id)); err != nil {
		return err
	}
	remove := func() error {
		return c.Directory.Remove(ctx, id, directory.Author{Who: actor(), Why: text(c.cmd, "reason")})
	}
	kept, err := c.hasDatabase(ctx, id)
	switch {
	case err != nil:
	case kept:
		err = c.recorded(ctx, id, c.event(audit.Policy, "practice_removed", string(id)), remove)
	default: // its database is lost, and with it the log; the registry keeps who and why
		err = remove()
	}
	if err != nil {
		return err
	}
	return c.putAside(ctx, id)
}

func (c *call) hasDatabase(ctx context.Context, id policy.PracticeID) (bool, error) {
	ids, err := c.DB.Practices(ctx)
	return slices.Contains(ids, id), err
}

// finishRemoval completes a removal that was interrupted after the practice had left the
// directory.
func (c *call) finishRemoval(ctx context.Context, id policy.PracticeID) error {
	status, err := c.Directory.Status(ctx, id)
	if errors.Is(err, directory.ErrUnknown) {
		_, err := c.named(string(id))
		return err
	}
	if err != nil {
		return err
	}
	if left, err := c.hasDatabase(ctx, id); err != nil || left {
		if err != nil {
			return err
		}
		return c.putAside(ctx, id)
	}
	return refuse("%s was removed already, on %s", id, when(status.Removed, nil))
}

// putAside takes the database out of service. A practice that takes the id later is of
// another generation and begins its own (THREATS T5).
func (c *call) putAside(ctx context.Context, id policy.PracticeID) error {
	if err := c.Audit.Flush(ctx); err != nil {
		return refuse("%s is not served any more, but its log could not be closed: do it again: %w", id, err)
	}
	if err := c.DB.Remove(ctx, id); err != nil && !errors.Is(err, database.ErrMissing) {
		return refuse("%s is not served any more, but its database could not be put aside: do it again: %w", id, err)
	}
	return c.print(map[string]any{"practice": id, "state": "removed"}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is removed. Its database is in the folder \"removed\" of the state.\n", id)
	})
}
