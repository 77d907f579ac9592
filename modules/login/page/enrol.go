package page

import (
	"html/template"
	"strings"
	"time"
)

// Enrol sets up an authenticator app. It posts code to /.gate/enrol/totp.
//
// Three occasions: forced (NotNow empty), in grace (NotNow and Deadline set), and replacing an older app from
// the account page (Replacing).
type Enrol struct {
	Base
	// Email is whose app it is; the app shows it as the account's name.
	Email string
	// Secret is the key in base32; other characters are dropped.
	Secret string
	// URI is the key as otpauth://totp/…, for the QR code. Without a usable one the page works by key alone.
	URI string
	// Deadline is when putting it off ends; shown as the last day before it, in the practice's zone.
	Deadline time.Time
	// NotNow is where "Not now" leads, a path on this host; empty: it cannot be put off.
	NotNow string
	// Return is where to go afterwards: a path on this host. Anything else is left out.
	Return string
	// Replacing says that an app is set up already and will stop working.
	Replacing bool
	// Problem is why the last try failed.
	Problem Problem
	// RetryAfter is how long to wait (TooManyTries, Busy, Unavailable).
	RetryAfter time.Duration
}

type enrol struct {
	Action, Logout, Account  string
	Summary                  *summary
	Practice, Email          string
	Key                      []string
	QR                       *qrCode
	Open                     template.URL // opens the app on the phone itself
	Deadline, NotNow, Return string
	Replacing                bool
	Field                    codeField
}

func (p Enrol) frame() frame {
	s := p.Problem.summary(p.RetryAfter).within(fieldCode)
	m := enrol{
		Action: pathEnrol, Logout: pathLogout, Account: pathAccount, Summary: s,
		Practice: clip(p.Practice, maxPractice), Email: clip(p.Email, maxShown),
		Key: groups(base32Only(p.Secret)), QR: newQR(p.URI), Open: otpauth(p.URI), Replacing: p.Replacing,
		// No focus in the field at the start: it would scroll the steps out of sight.
		Field: codeField{Label: "6-digit code from the app", Error: s.at(fieldCode)},
	}
	m.Return = localPath(p.Return)
	if m.NotNow = localPath(p.NotNow); m.NotNow != "" && !p.Deadline.IsZero() {
		m.Deadline = lastDay(p.Deadline, p.Zone)
	}
	title := "Set up your authenticator app"
	if p.Replacing {
		title = "Change your authenticator app"
	}
	return newFrame(p.Base, "enrol", title, layoutWide, m).failed(p.Base, s != nil, p.Problem.support())
}

// base32Only keeps the alphabet of RFC 4648 section 6, bounded to 64 characters (40 bytes of key).
func base32Only(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '2' && r <= '7' {
			return r
		}
		return -1
	}, strings.ToUpper(s[:min(len(s), 64)]))
}

// otpauth lets one scheme through that html/template does not know. It is safe: the prefix fixes scheme and
// host, every remaining character is one that RFC 3986 allows in a URI, and html/template still escapes it
// for the attribute.
func otpauth(uri string) template.URL {
	if len(uri) > maxURI || !strings.HasPrefix(uri, "otpauth://totp/") {
		return ""
	}
	for i := 0; i < len(uri); i++ {
		if c := uri[i]; !isAlphanumeric(c) && !strings.ContainsRune("-._~:/?@!$&*+,;=%", rune(c)) {
			return ""
		}
	}
	return template.URL(uri)
}

var _ Page = Enrol{}
