package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"charm.land/lipgloss/v2"
	lipglosstable "charm.land/lipgloss/v2/table"
	"golang.org/x/term"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
)

// wantsJSON says whether a program reads the output.
func (c *call) wantsJSON() bool { return yes(c.cmd, "json") }

// print writes v as JSON for programs, or has people write it for people.
func (c *call) print(v any, people func(w io.Writer)) error {
	if c.wantsJSON() {
		return writeJSON(c.out(), v)
	}
	people(c.out())
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows for people: ruled on a terminal, in plain columns when it is piped
// or colour is not wanted (no-color.org).
func table(w io.Writer, headers []string, rows [][]string) {
	for _, row := range rows {
		for i := range row {
			row[i] = show(row[i])
		}
	}
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" {
		plainTable(w, headers, rows)
		return
	}
	head, cell := lipgloss.NewStyle().Bold(true).Padding(0, 1), lipgloss.NewStyle().Padding(0, 1)
	t := lipglosstable.New().Headers(headers...).Rows(rows...).
		Border(lipgloss.RoundedBorder()).BorderStyle(lipgloss.NewStyle().Faint(true)).
		StyleFunc(func(row, _ int) lipgloss.Style {
			if row == lipglosstable.HeaderRow {
				return head
			}
			return cell
		})
	lipgloss.Fprintln(w, t)
}

// plainTable aligns by what is seen: a character may be as wide as two, or as none.
func plainTable(w io.Writer, headers []string, rows [][]string) {
	rows = append([][]string{headers}, rows...)
	widths := make([]int, len(headers))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2))
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// facts writes names and values, one a line. Empty values are left out.
func facts(w io.Writer, pairs ...string) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(columns, "%s\t%s\n", pairs[i], show(pairs[i+1]))
		}
	}
	columns.Flush()
}

// show makes text of others harmless in a terminal: one line, no control sequences
// (THREATS A3).
func show(s string) string {
	if s == "" {
		return "-"
	}
	return audit.Clean(s)
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// when writes a time for people: in the practice's own zone, to the minute.
func when(t time.Time, p *directory.Practice) string {
	if t.IsZero() {
		return ""
	}
	zone := time.UTC
	if p != nil && p.Policy != nil {
		zone = p.Policy.Timezone()
	}
	return t.In(zone).Format("2006-01-02 15:04 MST")
}

// stamp is a time for programs: absent when it is zero.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// list is never null in JSON.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// counted is "1 session", "2 sessions".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
