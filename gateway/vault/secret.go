package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const mask = "[secret]"

// Secret is a value that must not reach a log, an error, a JSON document or a page by accident. It prints and marshals
// as a mask, cannot be compared with ==, cannot be read back from a document, and gives its value to Reveal only. The
// zero Secret is empty and equals nothing.
type Secret struct {
	_ [0]func() // not comparable: == would leak by timing how much of a guess is right
	// A pointer: fmt does not call the methods of a value in somebody's unexported field, but prints what is in it.
	hidden *string
}

// NewSecret hides s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{hidden: &s}
}

// Reveal returns the value. Every call is a place to look at in a review.
func (s Secret) Reveal() string {
	if s.hidden == nil {
		return ""
	}
	return *s.hidden
}

// IsEmpty reports whether there is no value.
func (s Secret) IsEmpty() bool { return s.hidden == nil }

// Equal compares in a time that depends on neither value; the lengths are hidden by hashing both. An empty Secret
// equals nothing, not even another empty one: "no secret set" must not match "no secret sent".
func (s Secret) Equal(other Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	same := hmac.Equal(a[:], b[:])
	return same && !s.IsEmpty() && !other.IsEmpty()
}

// String returns the mask.
func (s Secret) String() string { return mask }

// GoString returns the mask.
func (s Secret) GoString() string { return mask }

// Format writes the mask for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// LogValue returns the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalText returns the mask, for JSON, YAML and everything else that asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// UnmarshalText refuses: a document that was written with masks must not come back as secrets.
func (s *Secret) UnmarshalText([]byte) error {
	return errors.New("a secret cannot be read from a document")
}

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)
