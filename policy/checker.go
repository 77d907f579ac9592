package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checker collects problems, so that a document is told all that is wrong with it at once.
type checker struct{ problems []Problem }

func (c *checker) add(field, reason, remedy string) {
	c.problems = append(c.problems, Problem{Field: field, Reason: reason, Remedy: remedy})
}

// item is a list element's field: hosts[0].
func item(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// quote shows a value in a message: escaped, and not at any length.
func quote(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		return strconv.Quote(string([]rune(s)[:most])) + "…"
	}
	return strconv.Quote(s)
}

// oneOf wants one of a few words.
func (c *checker) oneOf(field, value string, known []string) bool {
	if slices.Contains(known, value) {
		return true
	}
	if value == "" {
		c.add(field, "is missing", "write one of "+strings.Join(known, ", "))
		return false
	}
	remedy := "write one of them"
	if near := Nearest(value, known); near != "" {
		remedy = "did you mean " + near + "?"
	}
	c.add(field, quote(value)+" is not one of "+strings.Join(known, ", "), remedy)
	return false
}

// list wants at most most elements and none of them twice.
func (c *checker) list(field string, values []string, most int) {
	if len(values) > most {
		c.add(field, fmt.Sprintf("has %d entries, more than the %d that are read", len(values), most), "remove some")
	}
	first := make(map[string]int, len(values))
	for i, v := range values {
		if j, seen := first[v]; seen {
			c.add(item(field, i), quote(v)+" is in the list already, at "+item(field, j), "remove one of them")
			continue
		}
		first[v] = i
	}
}

// words wants each of a list to be one of a few words.
func (c *checker) words(field string, values, known []string) {
	c.list(field, values, len(known)*2)
	for i, v := range values {
		c.oneOf(item(field, i), v, known)
	}
}

// text wants words for people: not empty, not endless, nothing that cannot be seen or that turns the line around.
func (c *checker) text(field, value string, most int) {
	switch {
	case strings.TrimSpace(value) == "":
		c.add(field, "is missing", "write a text for people")
	case strings.TrimSpace(value) != value:
		c.add(field, "begins or ends with a blank", "write "+quote(strings.TrimSpace(value)))
	case utf8.RuneCountInString(value) > most:
		c.add(field, fmt.Sprintf("is longer than %d characters", most), "shorten it")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, isHidden):
		c.add(field, quote(value)+" holds characters that cannot be seen", "write it without them")
	}
}

// isHidden leaves out the joiners that some scripts and emoji are written with.
func isHidden(r rune) bool {
	return r != '\u200c' && r != '\u200d' && (isInvisible(r) || unicode.Is(unicode.Co, r))
}

// span wants a duration between two bounds, both included.
func (c *checker) span(field string, d, least, most Duration) bool {
	if d >= least && d <= most {
		return true
	}
	c.add(field, d.String()+" is outside "+least.String()+" to "+most.String(), "write a duration between them")
	return false
}
