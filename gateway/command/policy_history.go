package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func policyHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "Show all versions: when, who, why; and check that none was altered",
		RunE: on(showHistory, "practice"),
	}
}

// historyID is the practice that --practice names; histories outlive their practices.
func (c *call) historyID(ctx context.Context) (policy.PracticeID, *directory.Practice, error) {
	v, p, err := c.status(ctx, text(c.cmd, "practice"))
	return policy.PracticeID(v.Practice), p, err
}

func showHistory(ctx context.Context, c *call) error {
	id, p, err := c.historyID(ctx)
	if err != nil {
		return err
	}
	entries, err := c.Directory.History(ctx, id)
	if err != nil {
		return err
	}
	_, broken := c.Directory.VerifyHistory(ctx, id)
	var altered *directory.HistoryError
	if broken != nil && !errors.As(broken, &altered) {
		return broken
	}
	view := map[string]any{"practice": id, "intact": broken == nil, "versions": list(entries)}
	err = c.print(view, func(w io.Writer) {
		rows := make([][]string, len(entries))
		for i, e := range entries {
			rows[i] = []string{strconv.FormatInt(e.Version, 10), when(e.At, p), e.Who, e.Why, e.Hash[:min(16, len(e.Hash))]}
		}
		table(w, []string{"VERSION", "WHEN", "WHO", "WHY", "HASH"}, rows)
	})
	return errors.Join(err, broken)
}

func policyDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff [V1 [V2]]", Short: "Show what changed from one version to another", Args: atMost(2),
		Long: "Shows what changed from version V1 to V2; without V2 to the version in force, without both in the last\n" +
			"change. Version 0 is the empty document.",
		RunE: on(showDiff, "practice"),
	}
}

func showDiff(ctx context.Context, c *call) error {
	id, _, err := c.historyID(ctx)
	if err != nil {
		return err
	}
	entries, err := c.Directory.History(ctx, id)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return refuse("%s has no version of a policy", id)
	}
	to := entries[len(entries)-1].Version
	versions := []int64{to - 1, to}
	for i, arg := range c.args {
		if versions[i], err = strconv.ParseInt(arg, 10, 64); err != nil || versions[i] < 0 {
			return usage("%.40q is no version: `gateway policy history` shows them", arg)
		}
		if versions[i] > to {
			return refuse("%s has no version %d: the last one is %d", id, versions[i], to)
		}
	}
	diff, err := c.Directory.Diff(ctx, id, versions[0], versions[1])
	if err != nil {
		return err
	}
	changes := []string{}
	if diff != "" {
		changes = strings.Split(diff, "\n")
	}
	return c.print(map[string]any{"practice": id, "from": versions[0], "to": versions[1], "diff": changes}, func(w io.Writer) {
		fmt.Fprintf(w, "%s, version %d → %d\n", id, versions[0], versions[1])
		if len(changes) == 0 {
			fmt.Fprintln(w, "  no difference")
		}
		for _, line := range changes {
			fmt.Fprintf(w, "  %s\n", line)
		}
	})
}
