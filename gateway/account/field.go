package account

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FieldError refuses a value that somebody typed. Its text is plain English
// and fit for that person: it never holds the value itself.
type FieldError struct {
	Field  string // "email", "name", "roles", "password", "code"
	Reason string // what is wrong
	Remedy string // what to do
}

// Error is the whole sentence.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.Field, e.Reason, e.Remedy)
}

const (
	maxName  = 100 // characters
	maxRole  = 40  // bytes
	maxRoles = 20
)

// canonicalName is the name in NFC with single blanks. It becomes a header for
// the backend and a line on a page, so nothing that steers either may be in it.
func canonicalName(s string) (string, error) {
	bad := func(reason string) error {
		return &FieldError{Field: "name", Reason: reason, Remedy: "give the person's name in 1 to 100 characters"}
	}
	if len(s) > 16*maxName || !utf8.ValidString(s) {
		return "", bad("it is too long or damaged")
	}
	s = strings.Join(strings.Fields(norm.NFC.String(s)), " ")
	if n := utf8.RuneCountInString(s); n == 0 || n > maxName {
		return "", bad("it is empty or too long")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return "", bad("it holds characters that cannot be seen")
	}
	return s, nil
}

// canonicalRoles is roles sorted and without repeats. Which of them the
// practice knows is its policy's to say.
func canonicalRoles(roles []string) ([]string, error) {
	bad := func(reason string) error {
		return &FieldError{Field: "roles", Reason: reason,
			Remedy: "use names from the practice's policy, such as clinician, at most 20"}
	}
	if len(roles) > maxRoles {
		return nil, bad("there are too many")
	}
	for _, r := range roles {
		if r == "" || len(r) > maxRole || strings.Trim(r, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return nil, bad("a role is written in small letters, digits, _ and -")
		}
	}
	sorted := slices.Clone(roles)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}
