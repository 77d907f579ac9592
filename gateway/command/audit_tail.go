package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
)

func auditTail() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the newest records, and with --follow those that come",
		Long: "Shows the newest records of the log, oldest first. With --json each is one line.",
		RunE: on(tailAudit, "practice"),
	}
	cmd.Flags().IntP("lines", "n", 20, "number of records")
	cmd.Flags().BoolP("follow", "f", false, "go on with records as they come, until Ctrl-C")
	return cmd
}

func tailAudit(ctx context.Context, c *call) error {
	n := number(c.cmd, "lines")
	if n < 0 || n > audit.MaxTail {
		return usage("--lines is a number up to %d: `gateway audit export` writes the whole log", audit.MaxTail)
	}
	p, err := c.practice()
	if err != nil {
		return err
	}
	records, err := c.Audit.Tail(ctx, p.ID, n)
	if err != nil {
		return err
	}
	write := c.recordWriter(p)
	for _, r := range records {
		if err := write(r); err != nil {
			return err
		}
	}
	if !yes(c.cmd, "follow") {
		return nil
	}
	after := int64(-1)
	if len(records) > 0 {
		after = records[len(records)-1].Seq
	}
	err = c.Audit.Follow(ctx, p.ID, after, write)
	if ctx.Err() != nil { // Ctrl-C is how following ends
		return nil
	}
	return err
}

// recordWriter writes one record after the other: lines of JSON, or lines for people.
func (c *call) recordWriter(p *directory.Practice) func(audit.Record) error {
	if c.wantsJSON() {
		e := json.NewEncoder(c.out())
		e.SetEscapeHTML(false)
		return func(r audit.Record) error { return e.Encode(r) }
	}
	return func(r audit.Record) error {
		_, err := io.WriteString(c.out(), recordLine(r, p)+"\n")
		return err
	}
}

// recordLine is a record for people: number, time, what, who, and the rest.
func recordLine(r audit.Record, p *directory.Practice) string {
	parts := []string{fmt.Sprintf("%6d  %s  %s/%s", r.Seq, inZone(r, p), r.Class, r.Action)}
	for _, f := range []struct{ name, value string }{
		{"by", r.Actor}, {"on", r.Subject}, {"from", r.Addr}, {"request", r.Request},
	} {
		if f.value != "" && (f.name != "on" || r.Subject != r.Actor) {
			parts = append(parts, f.name+" "+f.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Detail)) {
		if r.Detail[key] != "" {
			parts = append(parts, key+"="+r.Detail[key])
		}
	}
	if r.Damaged {
		parts = append(parts, "[DAMAGED: run `gateway audit verify`]")
	}
	return strings.Join(parts, "  ")
}

func inZone(r audit.Record, p *directory.Practice) string {
	if p.Policy == nil {
		return r.At.UTC().Format("2006-01-02 15:04:05 MST")
	}
	return r.At.In(p.Policy.Timezone()).Format("2006-01-02 15:04:05 MST")
}
