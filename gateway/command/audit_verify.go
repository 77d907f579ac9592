package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/gateway/audit"
	"clinicgate/policy"
)

func auditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify [--practice ID | --all]", Short: "Prove that no record was altered, removed, moved or added",
		Long: "Reads the whole log and checks every record and signature. Exits with 1 and names the first bad row when\n" +
			"something does not hold.",
		RunE: on(verifyAudit),
	}
	cmd.Flags().Bool("all", false, "the logs of all practices")
	return cmd
}

// verified is the outcome for one practice; Error when its log could not be read.
type verified struct {
	audit.Report
	Error string `json:"error,omitempty"`
}

func verifyAudit(ctx context.Context, c *call) error {
	all := yes(c.cmd, "all")
	if all == (text(c.cmd, "practice") != "") {
		return usage("say whose log: --practice ID, or --all")
	}
	var ids []policy.PracticeID
	if all {
		for _, p := range c.Directory.All() {
			ids = append(ids, p.ID)
		}
	} else {
		p, err := c.practice()
		if err != nil {
			return err
		}
		ids = append(ids, p.ID)
	}
	reports, err := c.verify(ctx, ids)
	if err != nil {
		return err
	}
	err = c.print(map[string]any{"intact": len(bad(reports)) == 0, "logs": reports}, func(w io.Writer) { printReports(w, reports) })
	if err != nil {
		return err
	}
	return verdict(reports)
}

// verify reads the logs one after the other. One that cannot be read does not keep the
// others from being read.
func (c *call) verify(ctx context.Context, ids []policy.PracticeID) ([]verified, error) {
	bar := newProgress(c.cmd, "Verifying")
	defer bar.end()
	reports := make([]verified, 0, len(ids))
	for i, id := range ids {
		report, err := c.Audit.Verify(ctx, id, func(done, total int64) {
			if len(ids) == 1 {
				bar.at(done, total)
			}
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v := verified{Report: report}
		if err != nil {
			v.Report.Practice, v.Report.Intact, v.Error = id, false, err.Error()
		}
		v.Findings, v.Warnings = list(v.Findings), list(v.Warnings)
		reports = append(reports, v)
		if len(ids) > 1 {
			bar.at(int64(i+1), int64(len(ids)))
		}
	}
	return reports, nil
}

func bad(reports []verified) []verified {
	var found []verified
	for _, r := range reports {
		if !r.Intact {
			found = append(found, r)
		}
	}
	return found
}

func printReports(w io.Writer, reports []verified) {
	for _, r := range reports {
		if !r.Intact {
			for _, f := range r.Findings {
				fmt.Fprintf(w, "%s: row %d: %s: %s\n", r.Practice, f.Row, f.Kind, show(f.Sentence))
			}
			if r.More > 0 {
				fmt.Fprintf(w, "%s: and %d more\n", r.Practice, r.More)
			}
			continue
		}
		fmt.Fprintln(w, r.Report.String())
		for _, warning := range r.Warnings {
			fmt.Fprintf(w, "  note: %s\n", show(warning))
		}
	}
	if len(reports) == 0 {
		fmt.Fprintln(w, "There are no practices yet.")
	}
}

// verdict is the refusal that names the first bad row of each log.
func verdict(reports []verified) error {
	var lines []string
	for _, r := range bad(reports) {
		switch first, found := r.FirstBad(); {
		case r.Error != "":
			lines = append(lines, fmt.Sprintf("the log of %s could not be read: %s", r.Practice, r.Error))
		case found:
			lines = append(lines, fmt.Sprintf("the log of %s is not intact, the first bad row is %d: %s", r.Practice, first.Row, first.Sentence))
		default:
			lines = append(lines, fmt.Sprintf("the log of %s was not verified", r.Practice))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return refuse("%s", strings.Join(lines, "\n"))
}
