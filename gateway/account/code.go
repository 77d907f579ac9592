package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"
)

// What every authenticator app speaks (RFC 6238 with the defaults of its
// section 4): SHA-1, six digits, a step of 30 seconds. SHA-1 is sound here:
// HMAC does not rest on collisions.
const (
	stepSeconds    = 30
	codeDigits     = 6
	totpSecretSize = 20 // bytes: 160 bits, RFC 4226 section 4 R6
)

var totpBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// newTOTPSecret is a fresh secret.
func newTOTPSecret() []byte {
	b := make([]byte, totpSecretSize)
	rand.Read(b)
	return b
}

// LooksLikeCode reports whether s is six digits, so that a mistyped code can be
// shown again without counting it as a guess.
func LooksLikeCode(s string) bool {
	_, ok := parseCode(s)
	return ok
}

// parseCode returns the six digits of what was typed, which apps show and
// people paste with blanks in it. Only ASCII digits count: other scripts'
// digits would give one code several spellings.
func parseCode(s string) (string, bool) {
	if len(s) > 64 {
		return "", false
	}
	s = strings.NewReplacer(" ", "", "\t", "", "\u00a0", "", "\u2009", "", "\u202f", "").Replace(s)
	if len(s) != codeDigits || strings.Trim(s, "0123456789") != "" {
		return "", false
	}
	return s, true
}

// stepOf is the time step of t (RFC 6238 section 4.2).
func stepOf(t time.Time) int64 { return t.Unix() / stepSeconds }

// matchStep finds the step whose code this is, one before and one after now
// included (RFC 6238 section 5.2: clocks drift, people type slowly). All three
// are always computed. Should two steps have the same code it names the
// earlier, so that a code that was used cannot pass as the next step's.
func matchStep(secret []byte, code string, now time.Time) (step int64, ok bool) {
	key := totpBase32.EncodeToString(secret)
	for _, d := range []int64{1, 0, -1} {
		s := stepOf(now) + d
		want, err := hotp.GenerateCode(key, uint64(max(s, 0)))
		if err == nil && s > 0 && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// otpauthURI is what the QR code holds:
// github.com/google/google-authenticator/wiki/Key-Uri-Format. It is made here
// because pquerna/otp leaves & and = in the query as they are, so that the name
// "Harbour & Sons" would cut it short, and "&secret=" in a name replace it.
func otpauthURI(issuer, email string, secret []byte) string {
	// A colon would move the border between issuer and account in the label.
	issuer = strings.Join(strings.Fields(strings.ReplaceAll(issuer, ":", " ")), " ")
	q := url.Values{
		"secret": {totpBase32.EncodeToString(secret)}, "issuer": {issuer},
		"algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"},
	}
	u := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + email,
		RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20"), // some apps show a + as it is
	}
	return u.String()
}
