package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is one thing that is wrong with a document that somebody wrote.
type Error struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1; 0 when no line is to blame
	Field  string `json:"field"`  // sign_in.second_factor.stage; empty when the text itself is at fault
	Reason string `json:"reason"` // what is wrong
	Remedy string `json:"remedy"` // what to write instead; may be empty
}

// maxShown is how much of a field's name is shown, in characters; a name of ours is shorter.
const maxShown = 120

// visible makes text of a document fit for a terminal and a log: one line, nothing that moves a cursor or cannot be seen.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// Error is the error on one line: harbour.yaml:12: sign_in.second_factor.stage: "enforcd" is not one of … (did you mean …?).
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	b.WriteString(": ")
	if e.Field != "" {
		field := []rune(e.Field)
		b.WriteString(visible(string(field[:min(len(field), maxShown)])) + ": ")
	}
	b.WriteString(visible(e.Reason))
	if e.Remedy != "" {
		b.WriteString(" (" + visible(e.Remedy) + ")")
	}
	return b.String()
}

// Errors is all that is wrong with a document, in the order of its lines. It is never empty.
type Errors []*Error

// maxErrors is how many errors one document is told of.
const maxErrors = 50

// Error has one line an error.
func (es Errors) Error() string {
	text := make([]string, len(es))
	for i, e := range es {
		text[i] = e.Error()
	}
	return strings.Join(text, "\n")
}

// Unwrap lets errors.As find the first.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return es[:min(len(es), maxErrors)]
}

// lines knows where each field of a document was written.
type lines struct {
	file string
	at   map[string]int
}

func (l lines) has(field string) bool {
	_, ok := l.at[field]
	return ok
}

// line is where the field was written; for an absent one the nearest thing around it.
func (l lines) line(field string) int {
	for {
		if n, ok := l.at[field]; ok {
			return n
		}
		i := strings.LastIndexAny(field, ".[")
		if i < 0 {
			return l.at[""]
		}
		field = field[:i]
	}
}
