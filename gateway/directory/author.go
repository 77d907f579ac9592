package directory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"clinicgate/policy"
)

const (
	maxWho = 100  // characters
	maxWhy = 1000 // characters
)

// Author is who makes a change and why: a command-line user or a role. The registry holds no personal data, so this is
// not the place for an e-mail address.
type Author struct {
	Who string // required, up to 100 characters
	Why string // up to 1000 characters
}

// clean bounds the texts and makes characters visible that would hide or move text in a terminal or a log.
func (a Author) clean() (Author, error) {
	var problems policy.Problems
	if strings.TrimSpace(a.Who) == "" {
		problems = append(problems, policy.Problem{Field: "who", Reason: "nobody is named", Remedy: "say who makes this change"})
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{{"who", a.Who, maxWho}, {"why", a.Why, maxWhy}} {
		if len(f.text) > 4*f.max || utf8.RuneCountInString(f.text) > f.max {
			problems = append(problems, policy.Problem{
				Field: f.name, Reason: fmt.Sprintf("has more than %d characters", f.max), Remedy: "shorten it"})
		}
	}
	if len(problems) > 0 {
		return Author{}, problems
	}
	return Author{Who: visible(strings.TrimSpace(a.Who)), Why: visible(strings.TrimSpace(a.Why))}, nil
}

// visible escapes what does not print: control characters, line and paragraph separators, direction marks, invalid UTF-8.
func visible(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
