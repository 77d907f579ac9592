package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"

	"clinicgate/policy"
)

// ErrToken is the one error of ParseToken and ParseFlowToken. It never quotes
// what was sent: a cookie belongs in no log (THREATS A5).
var ErrToken = errors.New("session: not a token of this gateway")

const (
	secretSize   = 32 // bytes: 256 bit, so that nobody finds one by guessing
	markSize     = 8  // bytes: see body
	bodySize     = secretSize + markSize
	bodyChars    = 54 // of unpadded base64url
	prefixChars  = 3  // kind, version, separator
	tokenChars   = prefixChars + bodyChars
	maxPractice  = 64 // bytes of a practice id; ParsePracticeID allows fewer
	hidden       = "session token (hidden)"
	prefixToken  = "s1."
	prefixFlow   = "f1."
	domainToken  = 's'
	domainFlow   = 'f'
	digestLength = sha256.Size
)

// strict refuses a last character whose unused bits are not zero, so that every
// token has exactly one spelling.
var strict = base64.RawURLEncoding.Strict()

// body is what a token says: 256 random bits, and the gateway's mark on them under a
// key of the practice. The mark opens nothing. It tells cookies that somebody has
// invented from ours without asking SQL, so that they cost next to nothing however
// many come (TestInventedCookieAsksNoStore); who guesses its 64 bits has won a query.
type body [bodySize]byte

// Token is the value of a session cookie, seen only by the browser that holds it.
// The gateway keeps its SHA-256 (THREATS C1). It cannot be compared with ==, and
// prints as a mask wherever it is put. The zero Token opens nothing.
type Token struct{ secret }

// FlowToken is the cookie value of a sign-in in progress. It is another type with
// another spelling: neither is accepted where the other belongs (THREATS T3).
type FlowToken struct{ secret }

// ParseToken reads a cookie value. Everything but the exact spelling that Reveal
// gave is ErrToken: truncated, extended, padded, another alphabet (THREATS H7).
func ParseToken(s string) (Token, error) {
	raw, ok := parse(s, prefixToken)
	if !ok {
		return Token{}, ErrToken
	}
	return Token{secret{raw: &raw}}, nil
}

// ParseFlowToken is ParseToken for the cookie of a sign-in in progress.
func ParseFlowToken(s string) (FlowToken, error) {
	raw, ok := parse(s, prefixFlow)
	if !ok {
		return FlowToken{}, ErrToken
	}
	return FlowToken{secret{raw: &raw}}, nil
}

// Reveal returns the cookie value. Write it to Set-Cookie and nowhere else.
func (t Token) Reveal() string { return t.reveal(prefixToken) }

// Reveal returns the cookie value. Write it to Set-Cookie and nowhere else.
func (t FlowToken) Reveal() string { return t.reveal(prefixFlow) }

// digest is what is stored and looked up instead of a token. The practice and the
// kind of token are hashed with it, length first, so that a token of one practice
// has no meaning at another even if a row were copied there (THREATS T3, T6).
type digest [digestLength]byte

func digestOf(domain byte, practice policy.PracticeID, raw *body) digest {
	var buf [2 + maxPractice + bodySize]byte
	buf[0], buf[1] = domain, byte(len(practice))
	n := 2 + copy(buf[2:2+maxPractice], practice)
	n += copy(buf[n:], raw[:])
	return sha256.Sum256(buf[:n])
}

func (t Token) digest(practice policy.PracticeID) digest {
	return digestOf(domainToken, practice, t.raw)
}

func (t FlowToken) digest(practice policy.PracticeID) digest {
	return digestOf(domainFlow, practice, t.raw)
}

// secret is what both tokens are made of. The bytes are behind a pointer because
// fmt prints the unexported fields of a struct without asking their methods, but
// of a pointer only the address.
type secret struct {
	raw *body
	_   [0]func() // not comparable
}

func newSecret(key []byte, domain byte) secret {
	var raw body
	rand.Read(raw[:secretSize]) // never fails: crypto/rand ends the program instead
	mark := raw.mark(key, domain)
	copy(raw[secretSize:], mark[:])
	return secret{raw: &raw}
}

// mark is the HMAC-SHA256 of the kind of token and its random bits, shortened.
func (b *body) mark(key []byte, domain byte) (mark [markSize]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{domain})
	h.Write(b[:secretSize])
	copy(mark[:], h.Sum(nil))
	return mark
}

func (b *body) marked(key []byte, domain byte) bool {
	mark := b.mark(key, domain)
	return hmac.Equal(mark[:], b[secretSize:])
}

// parse does not allocate: it is on the way of every request.
func parse(s, prefix string) (raw body, ok bool) {
	if len(s) != tokenChars || s[:prefixChars] != prefix {
		return raw, false
	}
	var text [bodyChars]byte
	copy(text[:], s[prefixChars:])
	n, err := strict.Decode(raw[:], text[:]) // skips CR and LF, which then leaves n short
	if err != nil || n != bodySize || raw == (body{}) {
		return body{}, false
	}
	return raw, true
}

func (s secret) reveal(prefix string) string {
	if s.raw == nil {
		return ""
	}
	return prefix + strict.EncodeToString(s.raw[:])
}

// Format masks the token under every verb.
func (s secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// String masks the token.
func (s secret) String() string { return hidden }

// GoString masks the token.
func (s secret) GoString() string { return hidden }

// LogValue masks the token.
func (s secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText masks the token, in JSON and YAML as well.
func (s secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
