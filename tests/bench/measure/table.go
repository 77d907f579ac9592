package measure

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is for people: a title, a head, rows of equal length and notes below.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
	Notes []string
}

// Add appends one row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Write aligns the first column left and the others right, which suits figures.
func (t *Table) Write(w io.Writer) error {
	width := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(t.Title + "\n")
	line := func(row []string) {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("  " + cell + pad)
				continue
			}
			b.WriteString("  " + pad + cell)
		}
		b.WriteString("\n")
	}
	line(t.Head)
	for _, row := range t.Rows {
		line(row)
	}
	for _, note := range t.Notes {
		b.WriteString("  " + note + "\n")
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// Microseconds writes seconds as microseconds with one decimal.
func Microseconds(seconds float64) string { return fmt.Sprintf("%.1f", seconds*1e6) }

// Megabytes writes bytes as MiB.
func Megabytes(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
