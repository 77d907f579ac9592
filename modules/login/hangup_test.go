package login_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/demo"
	"clinicgate/gateway/session"
	"clinicgate/modules/exchange"
	"clinicgate/modules/practice"
	"clinicgate/policy"
)

// password sends the first form, with the right password or another.
func (g *gate) password(id policy.PracticeID, who demo.Account, password string) *http.Response {
	g.Helper()
	return g.form(id, "/.gate/login", exchange.Cookies{}, url.Values{"email": {who.Email}, "password": {password}})
}

// halfway signs in with the password only.
func (g *gate) halfway(id policy.PracticeID, who demo.Account) exchange.Cookies {
	g.Helper()
	flow := cookie(g.password(id, who, who.Password), practice.FlowCookie)
	if flow == "" {
		g.Fatalf("no sign-in in progress for %s", who.Email)
	}
	return exchange.Cookies{Flow: flow}
}

// key is the key on the enrolment page.
func (g *gate) key(id policy.PracticeID, cookies exchange.Cookies) string {
	g.Helper()
	w := httptest.NewRecorder()
	g.serve(w, httptest.NewRequest(http.MethodGet, "https://a.example/.gate/enrol/totp", nil), id, cookies)
	_, rest, _ := strings.Cut(w.Body.String(), "secret=")
	if len(rest) < 32 {
		g.Fatalf("no key on the page: %d\n%.300s", w.Code, w.Body)
	}
	return rest[:32]
}

// Once a form is here, all that it is about happens and is recorded, whether or not the
// browser waits for the answer: nothing is half done, and no guess is free (THREATS A4, F2).
func TestHangingUpAfterTheFormChangesNothing(t *testing.T) {
	const harbour, acacia = policy.PracticeID("harbour"), policy.PracticeID("acacia")
	g := newGate(t, time.Minute)
	admin, newcomer, clinician := g.who(harbour, "admin"), g.who(harbour, "clinician"), g.who(acacia, "clinician")
	cookies := g.halfway(harbour, admin)
	var session string
	for _, step := range []struct {
		name    string
		send    func() *http.Response
		status  int
		at      policy.PracticeID
		audited string
	}{
		{"wrong password", func() *http.Response { return g.password(harbour, admin, "not-the-password-1234") },
			http.StatusUnauthorized, harbour, "password_refused"},
		{"password alone", func() *http.Response {
			res := g.password(acacia, clinician, clinician.Password)
			session = cookie(res, practice.SessionCookie)
			return res
		}, http.StatusSeeOther, acacia, "signed_in"},
		{"wrong code", func() *http.Response {
			return g.form(harbour, "/.gate/login/totp", cookies, url.Values{"code": {other(g.code(admin.TOTPSecret))}})
		}, http.StatusUnauthorized, harbour, "code_refused"},
		{"right code", func() *http.Response {
			return g.form(harbour, "/.gate/login/totp", cookies, url.Values{"code": {g.code(admin.TOTPSecret)}})
		}, http.StatusSeeOther, harbour, "signed_in"},
		{"enrolment", func() *http.Response {
			half := g.halfway(harbour, newcomer)
			return g.form(harbour, "/.gate/enrol/totp", half, url.Values{"code": {g.code(g.key(harbour, half))}})
		}, http.StatusSeeOther, harbour, "enrolled"},
		{"sign-out", func() *http.Response {
			return g.form(acacia, "/.gate/logout", exchange.Cookies{Session: session}, url.Values{"x": {"y"}})
		}, http.StatusSeeOther, acacia, "signed_out"},
	} {
		if g.audited(step.at, step.audited) {
			t.Fatalf("%s: %s is recorded before it happened", step.name, step.audited)
		}
		res := step.send()
		if res.StatusCode != step.status {
			t.Errorf("%s: %d, want %d", step.name, res.StatusCode, step.status)
		}
		if !g.audited(step.at, step.audited) {
			t.Errorf("%s: no record of %s", step.name, step.audited)
		}
	}
	if !g.signedOut(acacia, session) {
		t.Error("the session goes on after signing out")
	}
}

// signedOut reports that a session is dead on the server.
func (g *gate) signedOut(id policy.PracticeID, token string) bool {
	g.Helper()
	x := exchange.Exchange{Practice: g.core.Directory.ByID(id)}
	_, err := g.core.Sessions.Lookup(g.Context(), x.Sessions(), token)
	return errors.Is(err, session.ErrNone)
}

// other is a code that is not the right one.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// A factor that is set up stays set up when other nodes could not be told of it: the
// person goes on, and the operator reads of it.
func TestFactorThatCouldNotBeAnnounced(t *testing.T) {
	g := newGate(t, time.Minute)
	who := g.who("harbour", "clinician")
	half := g.halfway("harbour", who)
	key := g.key("harbour", half)
	g.core.Accounts = account.New(account.Options{DB: g.core.DB, Vault: g.core.Vault, Now: g.core.Now,
		Changed: func(context.Context, policy.PracticeID, string) error { return errors.New("the feed is away") }})
	res := g.form("harbour", "/.gate/enrol/totp", half, url.Values{"code": {g.code(key)}})
	if res.StatusCode != http.StatusSeeOther || cookie(res, practice.SessionCookie) == "" {
		t.Errorf("%d, want a session", res.StatusCode)
	}
	if !g.audited("harbour", "enrolled") {
		t.Error("no record of the enrolment")
	}
}
