package audit

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cutMark begins the sign that ends a shortened text: `\…(1048576 bytes)`. Like every
// escape it starts with a backslash that is not doubled, so no client can write one.
const cutMark = `\…(`

// minCut is the room in bytes that the sign needs with the largest length.
const minCut = len(cutMark) + 20 + len(" bytes)")

// Clean returns s in the form the log keeps it: at most MaxField runes, printable,
// on one line, valid UTF-8. Whatever could move a cursor, end a line, hide or turn
// text around (C0 and C1 controls, ANSI sequences, U+2028 and U+2029, bidirectional
// and other invisible format characters, private use and unassigned code points,
// bytes that are not UTF-8) becomes a visible escape: \n, \x1b, \u2028, \U000e0041.
// A backslash becomes two, hence the escape loses nothing: two different texts that
// are short enough never look the same. A longer text is cut and says how long it was.
//
// The work is bounded by MaxField, not by len(s): a megabyte costs no more than a line.
func Clean(s string) string { return escapeTo(s, MaxField, 4*MaxField) }

// escapeTo escapes s into at most maxRunes runes and maxBytes bytes (≥ minCut).
func escapeTo(s string, maxRunes, maxBytes int) string {
	if len(s) <= min(maxRunes, maxBytes) && plain(s) {
		return s
	}
	var b strings.Builder
	var buf [12]byte
	runes, cut := 0, 0 // runes written; the longest prefix that leaves room for the sign
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		piece := appendEscaped(buf[:0], r, rest[:n])
		runes += utf8.RuneCount(piece)
		if runes > maxRunes || b.Len()+len(piece) > maxBytes {
			return b.String()[:cut] + cutMark + strconv.Itoa(len(s)) + " bytes)"
		}
		b.Write(piece)
		rest = rest[n:]
		if runes <= maxRunes-minCut && b.Len() <= maxBytes-minCut {
			cut = b.Len()
		}
	}
	return b.String()
}

// harmless returns s with whatever is not visible escaped and the rest, backslashes
// included, as it is. Stored text passes unchanged; it is for reading rows that somebody
// may have tampered with, so that they cannot move a reviewer's cursor.
func harmless(s string) string {
	if plain(strings.ReplaceAll(s, `\`, "")) {
		return s
	}
	b := make([]byte, 0, len(s))
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		if r == '\\' {
			b = append(b, '\\')
		} else {
			b = appendEscaped(b, r, rest[:n])
		}
		rest = rest[n:]
	}
	return string(b)
}

// plain reports whether s is ASCII that needs no escape: the usual case.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends r, which was read from raw, in its visible form.
func appendEscaped(b []byte, r rune, raw string) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1: // a byte that is not UTF-8
		return append(b, '\\', 'x', hexDigits[raw[0]>>4], hexDigits[raw[0]&15])
	case r == '\\':
		return append(b, '\\', '\\')
	case r == '\n':
		return append(b, '\\', 'n')
	case r == '\r':
		return append(b, '\\', 'r')
	case r == '\t':
		return append(b, '\\', 't')
	case visible(r):
		return append(b, raw...)
	case r < utf8.RuneSelf:
		return append(b, '\\', 'x', hexDigits[r>>4], hexDigits[r&15])
	case r <= 0xFFFF:
		return appendHex(append(b, '\\', 'u'), r, 4)
	default:
		return appendHex(append(b, '\\', 'U'), r, 8)
	}
}

// visible reports whether r leaves a mark on paper and nothing else. IsPrint is true
// for letters, marks, numbers, punctuation, symbols and the ASCII space only; the
// second table holds letters that show nothing (Hangul fillers, the grapheme joiner).
func visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func appendHex(b []byte, r rune, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[r>>shift&15])
	}
	return b
}

// clip returns at most n bytes of s, cut at a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
