package policy

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a time.Duration whose text, in JSON and YAML, is "15m" or "1h30m".
type Duration time.Duration

// ParseDuration reads a number with its unit: h, m, s or ms.
func ParseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err == nil && (s == "0" || strings.ContainsAny(s, "hms")):
		return Duration(d), nil
	case isNumber(s):
		return 0, fmt.Errorf("%q has no unit: write %ss, %sm or %sh", s, s, s, s)
	}
	return 0, fmt.Errorf("%.60q is not a duration such as 90s, 15m or 12h", s)
}

func isNumber(s string) bool {
	return s != "" && len(s) < 20 && strings.Trim(s, "0123456789") == ""
}

// String writes the shortest exact form: 15m, not 15m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalText writes String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}
