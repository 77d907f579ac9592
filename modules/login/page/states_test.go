package page_test

import (
	"strings"
	"time"

	"clinicgate/modules/login/page"
)

// state is one page as people can meet it. Goldens, previews and the rules that hold everywhere walk this list.
type state struct {
	name string
	page page.Page
}

var (
	now    = time.Date(2026, time.November, 23, 21, 4, 0, 0, time.UTC)
	sydney = time.FixedZone("AEDT", 11*60*60)
	base   = page.Base{Practice: "Harbour Family Practice", RequestID: "01932f6e-5c1e-7d35-9c4b-7f3a91c2d04e", Zone: sydney}
)

const (
	email  = "clinician@harbour.test"
	ret    = "/patients/today?view=list"
	secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	uri    = "otpauth://totp/Harbour%20Family%20Practice:clinician@harbour.test?algorithm=SHA1&digits=6&issuer=Harbour%20Family%20Practice&period=30&secret=" + secret
)

func states() []state {
	all := []state{
		{"signin", page.SignIn{Base: base, Return: ret}},
		{"signin-signed-out", page.SignIn{Base: base, Notice: page.NoticeSignedOut}},
		{"signin-session-ended", page.SignIn{Base: base, Return: ret, Notice: page.NoticeSessionEnded}},
		{"signin-expired", page.SignIn{Base: base, Notice: page.NoticeSignInExpired}},
		{"signin-again", page.SignIn{Base: base, Return: ret, Notice: page.NoticeSignInAgain}},
		{"signin-missing", page.SignIn{Base: base, Problem: page.MissingDetails}},
		{"signin-missing-password", page.SignIn{Base: base, Email: email, Problem: page.MissingDetails}},
		{"signin-wrong", page.SignIn{Base: base, Email: email, Return: ret, Problem: page.WrongDetails}},
		{"signin-wait-seconds", page.SignIn{Base: base, Email: email, Problem: page.TooManyTries, RetryAfter: 30 * time.Second}},
		{"signin-wait-minutes", page.SignIn{Base: base, Email: email, Problem: page.TooManyTries, RetryAfter: 4*time.Minute + 1}},
		{"signin-busy", page.SignIn{Base: base, Email: email, Problem: page.Busy, RetryAfter: 2 * time.Second}},
		{"signin-unavailable", page.SignIn{Base: base, Email: email, Problem: page.Unavailable, RetryAfter: 10 * time.Second}},
		{"code", page.SecondFactor{Base: base, Email: email, Return: ret}},
		{"code-missing", page.SecondFactor{Base: base, Email: email, Problem: page.MissingCode}},
		{"code-wrong", page.SecondFactor{Base: base, Email: email, Return: ret, Problem: page.WrongCode}},
		{"code-wait", page.SecondFactor{Base: base, Email: email, Problem: page.TooManyTries, RetryAfter: time.Minute}},
		{"code-unavailable", page.SecondFactor{Base: base, Email: email, Problem: page.Unavailable}},
		{"enrol", page.Enrol{Base: base, Email: email, Secret: secret, URI: uri}},
		{"enrol-wrong", page.Enrol{Base: base, Email: email, Secret: secret, URI: uri, Problem: page.WrongCode}},
		{"enrol-grace", page.Enrol{Base: base, Email: email, Secret: secret, URI: uri, NotNow: ret, Return: ret, Deadline: now.Add(14 * 24 * time.Hour)}},
		{"enrol-replace", page.Enrol{Base: base, Email: email, Secret: secret, URI: uri, Replacing: true}},
		{"enrol-no-picture", page.Enrol{Base: base, Email: email, Secret: secret}},
		{"account", account()},
		{"account-no-factor", page.Account{Base: base, Email: email, Roles: []string{"reception"}, SetUpBy: now.Add(14 * 24 * time.Hour), Now: now,
			Sessions: []page.Session{{ID: "0193-a", Device: "Edge on Windows", Addr: "203.0.113.7", SignedIn: now.Add(-time.Hour), LastSeen: now, Current: true}}}},
		{"account-others-gone", page.Account{Base: base, Email: email, Roles: nil, Factor: page.FactorApp, Now: now, Notice: page.NoticeOthersGone}},
		{"account-unavailable", page.Account{Base: base, Email: email, Factor: page.FactorApp, Now: now, Problem: page.Unavailable, RetryAfter: time.Minute}},
		{"stepup", page.StepUp{Base: base, Email: email, Area: page.Area("/prescriptions/17"), Return: "/prescriptions/17"}},
		{"stepup-wrong", page.StepUp{Base: base, Email: email, Problem: page.WrongCode, Return: "/prescriptions/17"}},
		{"stepup-password", page.StepUp{Base: base, Email: email, Area: "prescriptions", Proof: page.ProofPassword, Return: "/prescriptions/17"}},
		{"stepup-password-wrong", page.StepUp{Base: base, Email: email, Area: "prescriptions", Proof: page.ProofPassword, Problem: page.WrongDetails}},
		{"confirm-logout", page.ConfirmLogout{Base: base, Email: email, Return: ret}},
		{"failure-signed-in", page.Failure{Base: base, Kind: page.NotAllowed, Email: "reception@harbour.test", Roles: []string{"reception"}, Area: "billing"}},
		{"failure-reload", page.Failure{Base: base, Kind: page.CannotDecide, Retry: ret, RetryAfter: 20 * time.Second, Reload: true}},
	}
	for _, k := range page.Kinds() {
		all = append(all, state{"failure-" + kindNames[k], page.Failure{Base: base, Kind: k, Retry: ret, RetryAfter: 30 * time.Second}})
	}
	return all
}

var kindNames = map[page.Kind]string{
	page.Internal: "500", page.NotUnderstood: "400", page.Expired: "expired", page.NotAllowed: "403",
	page.NotFromHere: "network", page.MethodNotOffered: "method-not-offered", page.Suspended: "suspended",
	page.NotFound: "404", page.WrongVerb: "405", page.TooLarge: "413", page.UnknownAddress: "421",
	page.TooSlow: "408", page.HeadersTooLarge: "431", page.SSONotSetUp: "sso-not-set-up",
	page.BackendDown: "502", page.CannotDecide: "503", page.BackendSlow: "504",
}

func account() page.Account {
	return page.Account{
		Base: base, Name: "Clinician One", Email: email, Roles: []string{"clinician", "practice_admin"}, Factor: page.FactorApp, Now: now,
		Sessions: []page.Session{
			{ID: "01932f6e-aaaa", Device: "Firefox on Windows", Addr: "203.0.113.7", SignedIn: now.Add(-2 * time.Hour), LastSeen: now, Current: true},
			{ID: "01932f6e-bbbb", Device: "Safari on iPhone", Addr: "2001:db8::17", SignedIn: now.Add(-26 * time.Hour), LastSeen: now.Add(-20 * time.Minute)},
			{ID: "01932f6e-cccc", SignedIn: now.Add(-300 * time.Hour)},
		},
	}
}

// hostile is what a practice, a person or a browser might call itself.
var hostile = map[string]string{
	"script":       `"><script>alert(1)</script>`,
	"attribute":    `' onfocus=alert(1) autofocus x='`,
	"css":          `</style><style>*{display:none}</style>`,
	"template":     `{{.Base}}{env.SECRET}{http.request.uri}`,
	"override":     "Harbour\u202Eecitcarp\u202C\u2066\u2069 Practice",
	"rtl":          "עיאדת הנמל العيادة",
	"long":         longWord(10_000),
	"long words":   longText(10_000),
	"controls":     "a\x00b\x07c\x1b[31md\r\nSet-Cookie: x=1\u2028e\u0085f",
	"broken":       "\xff\xfe\xc0\xafname",
	"marks":        "Z" + marks(500) + "algo",
	"placeholders": "%s%d%!(EXTRA)",
}

func longWord(n int) string { return strings.Repeat("W", n) }
func longText(n int) string { return strings.Repeat("Clinic of ", n/10) }
func marks(n int) string    { return strings.Repeat("\u0301", n) }

// hostileStates are all kinds of pages with s in every place that takes text from outside.
func hostileStates(s string) []state {
	b := page.Base{Practice: s, RequestID: s}
	return []state{
		{"signin", page.SignIn{Base: b, Email: s, Return: s, Problem: page.WrongDetails}},
		{"code", page.SecondFactor{Base: b, Email: s, Return: s, Problem: page.Unavailable}},
		{"stepup", page.StepUp{Base: b, Email: s, Area: s, Return: s, Proof: page.ProofPassword}},
		{"enrol", page.Enrol{Base: b, Email: s, Secret: s, URI: s, NotNow: s, Deadline: now}},
		{"account", page.Account{Base: b, Name: s, Email: s, Roles: []string{s, s}, Now: now, SetUpBy: now,
			Sessions: []page.Session{{ID: s, Device: s, Addr: s, SignedIn: now}, {ID: s, Device: s, Current: true}}}},
		{"confirm-logout", page.ConfirmLogout{Base: b, Email: s, Return: s}},
		{"failure", page.Failure{Base: b, Kind: page.NotAllowed, Email: s, Roles: []string{s}, Area: s, Retry: s}},
	}
}
