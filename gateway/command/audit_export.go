package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"clinicgate/gateway/audit"
	"clinicgate/policy"
)

func auditExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export --format jsonl|csv [-o FILE]", Short: "Write the log for a reviewer, oldest record first",
		Long: "Writes the records to standard output or to a file that only you can read. CSV is safe to open in a\n" +
			"spreadsheet. A date is the beginning of that day at the practice; --until is not taken itself.",
		RunE: on(exportAudit, "practice"),
	}
	cmd.Flags().String("format", "jsonl", "jsonl or csv")
	cmd.Flags().String("since", "", "from this time on: a date, a time, or how long ago (24h, 7d)")
	cmd.Flags().String("until", "", "up to this time")
	cmd.Flags().StringP("output", "o", "", "file to write, which must not exist yet")
	return cmd
}

func exportAudit(ctx context.Context, c *call) error {
	format, err := audit.ParseFormat(text(c.cmd, "format"))
	if err != nil {
		return errUsage{err}
	}
	p, err := c.practice()
	if err != nil {
		return err
	}
	var within audit.Range
	if within.From, err = instant("since", text(c.cmd, "since"), p, c.Now()); err != nil {
		return err
	}
	if within.To, err = instant("until", text(c.cmd, "until"), p, c.Now()); err != nil {
		return err
	}
	if !within.To.IsZero() && !within.To.After(within.From) {
		return usage("--until is not later than --since")
	}
	bar := newProgress(c.cmd, "Exporting")
	defer bar.end()
	if isTerminal(c.out()) && text(c.cmd, "output") == "" {
		bar.w = nil // the records themselves are what moves
	}
	total, err := c.newest(ctx, p.ID)
	if err != nil {
		return err
	}
	export := func(w io.Writer) error {
		return c.Audit.Export(ctx, p.ID, format, within, &lineCounter{w: w, each: func(n int64) { bar.at(n, total) }})
	}
	if file := text(c.cmd, "output"); file != "" {
		return exportTo(file, export)
	}
	return export(c.out())
}

// newest is the number of the newest record, which bounds how many there are.
func (c *call) newest(ctx context.Context, id policy.PracticeID) (int64, error) {
	last, err := c.Audit.Tail(ctx, id, 1)
	if err != nil || len(last) == 0 {
		return 0, err
	}
	return last[0].Seq, nil
}

// exportTo writes a file that is there only when it is complete. It replaces nothing: an
// export may be evidence.
func exportTo(file string, export func(io.Writer) error) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), ".export-*") // mode 0600: the log names people
	if err != nil {
		return refuse("making the file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	if err := errors.Join(export(temp), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), file); errors.Is(err, os.ErrExist) {
		return refuse("%s exists already and is left as it is: choose another name", file)
	} else if err != nil {
		return refuse("writing the file: %w", err)
	}
	return nil
}

// lineCounter counts the lines that go through it.
type lineCounter struct {
	w    io.Writer
	n    int64
	each func(lines int64)
}

func (l *lineCounter) Write(b []byte) (int, error) {
	for _, c := range b {
		if c == '\n' {
			l.n++
		}
	}
	l.each(l.n)
	n, err := l.w.Write(b)
	if err != nil {
		err = fmt.Errorf("writing the export: %w", err)
	}
	return n, err
}
