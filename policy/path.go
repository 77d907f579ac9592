package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxPath is the longest path served, in bytes, as sent.
const maxPath = 8192

// CanonicalPath turns the path of a request target, as it was sent (RFC 9112 section 3.2.1, without the query), into the
// one decoded path that every backend would see. What two backends could read differently is an error that names it: it
// is refused before any rule is asked (THREATS P1). A path without percent-encoding comes back as it is, without
// allocation.
func CanonicalPath(raw string) (string, error) {
	if len(raw) > maxPath {
		return "", fmt.Errorf("the path is longer than %d bytes", maxPath)
	}
	if raw == "" || raw[0] != '/' {
		return "", errNoSlash
	}
	encoded := false
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '%':
			encoded = true
		case c <= ' ' || c >= utf8.RuneSelf-1:
			return "", fmt.Errorf("byte 0x%02x at %d must be percent-encoded or left out", c, i)
		case isDelimiter(c):
			return "", fmt.Errorf("%q at %d means different things to different servers", c, i)
		}
	}
	path := raw
	if encoded {
		var err error
		if path, err = decodePath(raw); err != nil {
			return "", err
		}
	}
	if err := checkSegments(path); err != nil {
		return "", err
	}
	return path, nil
}

// NormalEncoding spells a path that CanonicalPath accepts as RFC 3986 section 6.2.2.2 wants it: letters, digits and
// "-._~" plain. Servers that match routes before they decode then see the path that the rules were asked about. What else
// is encoded stays as it was sent. A path that needs no change comes back as it is.
func NormalEncoding(raw string) string {
	if !strings.Contains(raw, "%") {
		return raw
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' {
			if c, err := decodeByte(raw, i); err == nil && isUnreserved(c) {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

var errNoSlash = errors.New(`the path does not begin with "/"`)

// isDelimiter knows the bytes that no decoded path may hold, "/" apart: a backend may cut, split or decode at them.
func isDelimiter(c byte) bool {
	switch c {
	case '\\', ';', '#', '?', '%':
		return true
	}
	return false
}

func decodePath(raw string) (string, error) {
	var b strings.Builder
	b.Grow(len(raw))
	ascii := true
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			var err error
			if c, err = decodeByte(raw, i); err != nil {
				return "", err
			}
			i += 2
		}
		ascii = ascii && c < utf8.RuneSelf
		b.WriteByte(c)
	}
	path := b.String()
	if ascii {
		return path, nil
	}
	return path, checkUnicode(path)
}

// decodeByte reads the percent-encoded byte at raw[i] (RFC 3986 section 2.1).
func decodeByte(raw string, i int) (byte, error) {
	if i+2 >= len(raw) {
		return 0, fmt.Errorf("the percent-encoding at %d is cut off", i)
	}
	hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
	if hi < 0 || lo < 0 {
		return 0, fmt.Errorf("%q at %d is not a percent-encoding", raw[i:i+3], i)
	}
	c := byte(hi<<4 | lo)
	switch {
	case c < ' ' || c == 0x7f:
		return 0, fmt.Errorf("%q at %d encodes a control character", raw[i:i+3], i)
	case c == '/' || isDelimiter(c):
		return 0, fmt.Errorf("%q at %d encodes %q, which servers decode at different times", raw[i:i+3], i, c)
	}
	return c, nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

var (
	errEmptySegment = errors.New(`"//" is one separator to some servers and two to others`)
	errDotSegment   = errors.New("a segment of only dots climbs on some servers")
	errSegmentEnd   = errors.New(`a segment ends in "." or a blank, which some servers cut off`)
)

// checkSegments looks at the segments of a decoded path that begins with "/".
func checkSegments(path string) error {
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		switch {
		case i == start && i < len(path):
			return errEmptySegment
		case i > start && (path[i-1] == '.' || path[i-1] == ' '):
			return segmentError(path[start:i])
		}
		start = i + 1
	}
	return nil
}

func segmentError(segment string) error {
	if strings.Trim(segment, ".") == "" {
		return errDotSegment
	}
	return errSegmentEnd
}

// lookAlikes are what code pages of Windows turn into a slash or a backslash, NFKC apart ("best fit").
const lookAlikes = "\u2044\u2215\u2216\u00a5\u20a9"

// checkUnicode looks at a decoded path with bytes beyond ASCII.
func checkUnicode(path string) error {
	if !utf8.ValidString(path) {
		return errors.New("the decoded path is not UTF-8")
	}
	for i, r := range path {
		switch next := i + utf8.RuneLen(r); {
		case isInvisible(r):
			return fmt.Errorf("the character %U at %d cannot be seen, and some servers drop it", r, i)
		case strings.ContainsRune(lookAlikes, r):
			return fmt.Errorf("the character %U at %d stands for a slash on some servers", r, i)
		case unicode.IsSpace(r) && (next == len(path) || path[next] == '/'):
			return errSegmentEnd
		}
	}
	plain := norm.NFKC.String(strings.Map(loosest, path))
	if plain == path {
		return nil
	}
	for _, c := range []byte(`/\.%;?#`) {
		if strings.Count(plain, string(rune(c))) != strings.Count(path, string(rune(c))) {
			return fmt.Errorf("a character stands for %q on servers that normalise Unicode", c)
		}
	}
	return checkSegments(plain)
}

// isInvisible knows control, format and private separators, noncharacters and the replacement character.
func isInvisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) ||
		r == utf8.RuneError
}

// isIgnorable knows letters and marks without a look of their own, which emoji and some scripts need and isInvisible
// therefore lets pass.
func isIgnorable(r rune) bool {
	return unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// isCanonical is the guard of Decide: whether path can have come from CanonicalPath, as far as ASCII tells. It keeps a
// caller that forgot to ask from matching rules against an ambiguous path.
func isCanonical(path string) bool {
	if path == "" || path[0] != '/' || len(path) > maxPath {
		return false
	}
	last := byte('/')
	for i := 1; i < len(path); i++ {
		c := path[i]
		if c == '/' && (last == '/' || last == '.' || last == ' ') || c < ' ' || c == 0x7f || isDelimiter(c) {
			return false
		}
		last = c
	}
	return last != '.' && last != ' '
}
