package policy

import (
	"errors"
	"fmt"
)

// PracticeID names a practice: 2 to 40 characters of [a-z0-9-], no hyphen at either end. It is safe as a file name, a
// database name and a URL segment. The zero value names no practice.
type PracticeID string

var errPracticeID = errors.New("a practice id has 2 to 40 characters, a to z, 0 to 9 and inner hyphens")

// ParsePracticeID checks s and returns it as an id. It changes nothing: upper case is refused, not folded, so that one
// practice has one spelling in every file, key and log.
func ParsePracticeID(s string) (PracticeID, error) {
	if len(s) < 2 || len(s) > 40 || !isLabel(s) {
		return "", fmt.Errorf("%.60q is not a practice id: %w", s, errPracticeID)
	}
	return PracticeID(s), nil
}

// isLabel reports whether s is a non-empty run of [a-z0-9-] without a hyphen at either end.
func isLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
