package account

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Longest addresses, in bytes: RFC 5321 section 4.5.3.1, as corrected by
// erratum 1690 of RFC 3696.
const (
	maxEmail = 254
	maxLocal = 64
)

// CanonicalEmail returns the one spelling of an e-mail address under which its
// account is stored, looked up and limited: without blanks around it and in
// lower case, the domain in its ASCII form (RFC 5891). Accounts are never
// found by anything that merely looks the same: what is left of the @ must be
// ASCII, and a domain that Unicode mapping would change (full-width letters,
// soft hyphens) is refused (THREATS O4, L2).
func CanonicalEmail(s string) (string, error) {
	if len(s) > 4*maxEmail {
		return "", badEmail("it is longer than %d characters", maxEmail)
	}
	s = strings.TrimSpace(s)
	local, domain, ok := strings.Cut(s, "@")
	if !ok || strings.Contains(domain, "@") {
		return "", badEmail("it must have exactly one @")
	}
	if !dotAtom(local) {
		return "", badEmail("the part before the @ may hold only the letters a to z, digits and . _ - +")
	}
	domain, err := asciiDomain(domain)
	if err != nil {
		return "", err
	}
	email := strings.ToLower(local) + "@" + domain
	if len(email) > maxEmail {
		return "", badEmail("it is longer than %d characters", maxEmail)
	}
	return email, nil
}

func badEmail(format string, args ...any) error {
	return &FieldError{Field: "email", Reason: fmt.Sprintf(format, args...), Remedy: "write it like name@clinic.example"}
}

// dotAtom reports whether s is words of RFC 5321 atext joined by single dots.
func dotAtom(s string) bool {
	if s == "" || len(s) > maxLocal {
		return false
	}
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || strings.Trim(word, atext) != "" {
			return false
		}
	}
	return true
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	atext   = letters + "!#$%&'*+-/=?^_`{|}~"
)

// asciiDomain is the domain as it is written in the DNS.
func asciiDomain(domain string) (string, error) {
	if strings.ContainsFunc(domain, alias) {
		return "", badEmail("the part after the @ holds characters that look like others")
	}
	lower := strings.ToLower(norm.NFC.String(domain))
	ascii, err := idna.Lookup.ToASCII(lower)
	if err != nil || ascii == "" || len(ascii) > 253 || ascii[0] == '.' || strings.HasSuffix(ascii, ".") {
		return "", badEmail("the part after the @ is not a domain name")
	}
	if strings.Trim(ascii, letters+".-") != "" || strings.Contains(ascii, "..") {
		return "", badEmail("the part after the @ is not a domain name")
	}
	if back, err := idna.Lookup.ToUnicode(ascii); err != nil || (back != lower && ascii != lower) {
		return "", badEmail("the part after the @ holds characters that look like others")
	}
	return ascii, nil
}

// alias reports whether Unicode has r for another character's sake only, such
// as the Kelvin sign, which normalising turns into the letter K.
func alias(r rune) bool { return norm.NFC.String(string(r)) != string(r) }
