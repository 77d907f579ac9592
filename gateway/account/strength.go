package account

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
	"golang.org/x/text/unicode/norm"
)

// What a password must be. Length in characters, not bytes, after NFC (RFC
// 8265 section 4.2), so that an accent counts the same on every keyboard; no
// rules on kinds of characters and no expiry (NIST SP 800-63B section 3.1.1.2).
const (
	minPassword = 12
	maxPassword = 128
	maxRaw      = 16 * maxPassword // bytes looked at before normalising
	minScore    = 3                // of zxcvbn's 0 to 4: at least 10^8 guesses
)

const goodPassword = "three or four unrelated words make a good one"

// commonWords are what everybody at a clinic would think of first.
var commonWords = []string{
	"clinic", "practice", "medical", "medicine", "health", "healthcare", "hospital", "surgery", "doctor", "doctors",
	"nurse", "patient", "patients", "reception", "billing", "family", "dental", "clinicgate", "welcome", "signin",
}

// canonicalPassword is the password as it is hashed, or false when no password
// of ours can look like that.
func canonicalPassword(s string) (string, bool) {
	if len(s) > maxRaw || !utf8.ValidString(s) {
		return "", false
	}
	s = norm.NFC.String(s)
	if utf8.RuneCountInString(s) > maxPassword || strings.ContainsFunc(s, unicode.IsControl) {
		return "", false
	}
	return s, true
}

func badPassword(reason, remedy string) error {
	return &FieldError{Field: "password", Reason: reason, Remedy: remedy}
}

// newPassword checks a password that somebody chose, and returns its canonical
// form. words are those that its owner and practice are known by.
func newPassword(raw string, words []string, breached *Breached) (string, error) {
	s, ok := canonicalPassword(raw)
	if !ok {
		return "", badPassword("it is too long or holds characters that cannot be typed",
			fmt.Sprintf("use %d to %d letters, digits, blanks and signs", minPassword, maxPassword))
	}
	if n := utf8.RuneCountInString(s); n < minPassword {
		return "", badPassword(fmt.Sprintf("it has %d characters", n),
			fmt.Sprintf("use at least %d; %s", minPassword, goodPassword))
	}
	if repeats(s) {
		return "", badPassword("it repeats the same few characters", "use something longer that does not repeat; "+goodPassword)
	}
	if strength(s, words) < minScore {
		return "", badPassword("it would be guessed too quickly: it is made of common words, names, dates or keyboard rows",
			"leave out names and dates, and add an unrelated word or two; "+goodPassword)
	}
	known, err := breached.Contains(s)
	if err != nil {
		return "", err
	}
	if known {
		return "", badPassword("it is on a list of passwords that were stolen elsewhere",
			"choose one that you use nowhere else; "+goodPassword)
	}
	return s, nil
}

// repeats reports whether s is one piece shorter than a password, over and
// over. zxcvbn does not see that.
func repeats(s string) bool {
	r := []rune(s)
	for piece := 1; piece < minPassword && piece <= len(r)/2; piece++ {
		i := piece
		for i < len(r) && r[i] == r[i-piece] {
			i++
		}
		if i == len(r) {
			return true
		}
	}
	return false
}

// Bounds on the work of zxcvbn, which grows with the square of the length and
// with the combinations of characters that may stand for letters. Scoring only
// the beginning can only score lower.
const (
	maxScored = 64 // characters
	maxLeet   = 6  // different characters that may stand for letters
	maxWords  = 100
)

// strength is zxcvbn's score, from 0 to 4.
func strength(s string, words []string) int {
	scored := scorable(s)
	var skip []func(match.Matcher) bool
	if leets(scored) > maxLeet {
		skip = append(skip, matching.FilterL33tMatcher)
	}
	words = append(words[:min(len(words), maxWords):min(len(words), maxWords)], commonWords...)
	return zxcvbn.PasswordStrength(scored, words, skip...).Score
}

// scorable is s in ASCII: accents are dropped and other characters become some
// letter, always the same. zxcvbn knows ASCII only and takes every other
// character for a good secret, even one repeated; this way é is as guessable as e.
func scorable(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue
		case r > unicode.MaxASCII:
			b.WriteByte(byte('a' + r%26))
		default:
			b.WriteRune(r)
		}
		if b.Len() == maxScored {
			break
		}
	}
	return b.String()
}

// leets counts the different characters of s that may stand for a letter.
func leets(s string) int {
	n := 0
	for _, r := range "4@8({[<3691!|70$5+%2" {
		if strings.ContainsRune(s, r) {
			n++
		}
	}
	return n
}

// wordsOf cuts texts into the words that zxcvbn shall take for guessable.
func wordsOf(texts ...string) []string {
	var words []string
	for _, t := range texts {
		t = strings.ToLower(scorable(t))
		words = append(words, strings.Join(strings.Fields(t), ""))
		words = append(words, strings.FieldsFunc(t, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9')
		})...)
	}
	kept := words[:0]
	for _, w := range words {
		if len(w) >= 3 {
			kept = append(kept, w)
		}
	}
	return kept
}
