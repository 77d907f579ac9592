package policy

import "fmt"

// Level is how well a person has proved who they are (NIST SP 800-63B). The zero value proves nothing.
type Level int8

const (
	LevelNone Level = iota // nobody has signed in
	AAL1                   // one factor
	AAL2                   // two factors
	AAL2PR                 // two factors, of which one cannot be phished (FIDO2)
)

// ParseLevel reads the name that String writes.
func ParseLevel(s string) (Level, error) {
	for l := AAL1; l <= AAL2PR; l++ {
		if s == l.String() {
			return l, nil
		}
	}
	return LevelNone, fmt.Errorf("%.60q is not one of aal1, aal2, aal2-pr", s)
}

// String is the level's name in documents, headers and logs.
func (l Level) String() string {
	switch l {
	case AAL1:
		return "aal1"
	case AAL2:
		return "aal2"
	case AAL2PR:
		return "aal2-pr"
	}
	return "none"
}

// MarshalText writes the name; LevelNone is the empty text, as an absent field is.
func (l Level) MarshalText() ([]byte, error) {
	if l == LevelNone {
		return nil, nil
	}
	if l < LevelNone || l > AAL2PR {
		return nil, fmt.Errorf("level %d has no name", int8(l))
	}
	return []byte(l.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (l *Level) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*l = LevelNone
		return nil
	}
	*l, err = ParseLevel(string(text))
	return err
}
