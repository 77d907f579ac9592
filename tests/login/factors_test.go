package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// F3: between password and code there is nothing to reach.
func TestHalfASignInReachesNothing(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "halfway", "clinician", true)
	flow := halfway(t, gate, "harbour", "", who)
	value := strings.TrimPrefix(flow, probe.Flow+"=")
	before := gate.Hits(t, "/halfway")
	for _, cookies := range []string{flow, probe.Session + "=" + value, probe.Session + "=s1." + value[3:]} {
		for _, path := range []string{"/halfway", "/.gate/account", "/.gate/session"} {
			req := probe.Page(p, path, cookies)
			req.Header.Set("Sec-Fetch-Mode", "cors")
			if res := probe.Send(t, probe.Client(t, gate, ""), req); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with %.20s…: %s, want 401", path, cookies, res.Status)
			}
		}
	}
	if gate.Hits(t, "/halfway") != before {
		t.Error("the backend was reached")
	}
	// The password alone does not replace the factor either (F4).
	if res := probe.Send(t, probe.Client(t, gate, ""), probe.Page(p, "/.gate/enrol/totp", flow)); where(res) != "/.gate/login/totp" || strings.Contains(res.Text, "secret=") {
		t.Errorf("enrolment after the password alone: %s to %q", res.Status, where(res))
	}
	res := probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/enrol/totp", url.Values{"code": {gate.Browser(t, "h1").Code(who.TOTPSecret)}}, flow))
	if session, _ := probe.Cookie(res, probe.Session); session != "" {
		t.Error("posting to the enrolment signed in")
	}
}

// F3: a session from before its practice asked for a second factor reaches the page
// where that is set up, logout, and nothing else.
func TestSessionBelowTheRuleReachesOnlyTheFactorPages(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	b := probe.SignedIn(t, g, "acacia", p.Account("clinician"))
	enforce(t, g, "acacia")
	for path, want := range map[string]string{
		"/":                 "/.gate/enrol/totp?rd=%2F",
		"/.gate/account":    "/.gate/enrol/totp?rd=%2F.gate%2Faccount",
		"/.gate/login/totp": "/.gate/enrol/totp",
	} {
		probe.Eventually(t, 5e9, "the policy is in force on "+path, func() bool { return where(b.Get(p.URL+path)) == want })
	}
	if res := b.Fetch(http.MethodGet, p.URL+"/.gate/session", nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("who am I: %s, want 401", res.Status)
	}
	if res := b.Post(p.URL+"/.gate/account/sessions/end", url.Values{"all": {"others"}}); where(res) == "/.gate/account?done=others" {
		t.Error("sessions were ended below the rule")
	}
	page := b.Get(p.URL + "/.gate/enrol/totp?rd=/patients")
	if strings.Contains(page.Text, "Not now") {
		t.Error(`"Not now" is offered although it leads nowhere`)
	}
	res := b.Post(p.URL+"/.gate/enrol/totp", url.Values{"code": {b.Code(keyOn(t, page.Text))}, "rd": {"/patients"}})
	if where(res) != "/patients" {
		t.Errorf("after setting it up: %s to %q", res.Status, where(res))
	}
	if res := b.Fetch(http.MethodGet, p.URL+"/.gate/session", nil); res.JSON(t)["level"] != "aal2" {
		t.Errorf("level afterwards: %v", res.JSON(t)["level"])
	}
}

// enforce makes a practice ask everybody for a second factor.
func enforce(t *testing.T, g *harness.Gateway, practice string) {
	t.Helper()
	document := probe.Must(t, g, "practice", "export", practice)
	before, rest, found := strings.Cut(document, "second_factor:")
	if !found {
		t.Fatalf("no second_factor in %s", document)
	}
	_, after, found := strings.Cut(rest, "stage: ")
	if !found {
		t.Fatalf("no stage in %s", rest)
	}
	changed := before + "second_factor:" + rest[:len(rest)-len(after)] + "enforced" + after[strings.IndexAny(after, ",\n}"):]
	probe.MustWith(t, g, dropGrace(changed), "practice", "apply", "-f", "-")
}

func dropGrace(document string) string {
	var kept []string
	for line := range strings.Lines(document) {
		if !strings.Contains(line, "grace_until") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// F4: a reset by the admin gives nobody a completed second factor, least of all whoever
// holds a session or half a sign-in of the lost phone's owner: only a fresh password
// leads to a new app.
func TestResetFactorsLeavesNoSessionToEnrolWith(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "lost-phone", "clinician", true)
	flow := halfway(t, gate, "harbour", "", who)
	b := probe.SignedIn(t, gate, "harbour", who)
	probe.Must(t, gate, "user", "reset-factors", who.Email, "--practice", "harbour")
	probe.Eventually(t, 5e9, "the live session is over", func() bool {
		return b.Fetch(http.MethodGet, p.URL+"/api/echo", nil).StatusCode == http.StatusUnauthorized
	})
	if res := b.Get(p.URL + "/.gate/enrol/totp"); strings.Contains(res.Text, "secret=") || !strings.HasPrefix(where(res), "/.gate/login") {
		t.Errorf("the live session's enrolment: %s to %q", res.Status, where(res))
	}
	if res := code(t, gate, "harbour", "", b.Code(who.TOTPSecret), flow); !strings.HasPrefix(where(res), "/.gate/login?expired") {
		t.Errorf("a code of the lost phone: %s to %q", res.Status, where(res))
	}
	if res := probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}})); where(res) != "/.gate/enrol/totp" {
		t.Errorf("the password afterwards: %s to %q", res.Status, where(res))
	}
}

// F4: a key that one sign-in was shown is no other's, so whoever has only the password
// cannot wait for the owner to confirm a key that both know.
func TestKeyOfAnotherSignInIsNotConfirmed(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "watched", "clinician", false)
	show := func(flow string) string {
		return keyOn(t, probe.Send(t, probe.Client(t, gate, ""), probe.Page(p, "/.gate/enrol/totp", flow)).Text)
	}
	thief, owner := halfway(t, gate, "harbour", "127.0.5.1", who), halfway(t, gate, "harbour", "", who)
	stolen := show(thief)
	key := show(owner)
	if stolen == key {
		t.Fatal("two sign-ins are shown the same key")
	}
	form := func(flow, key string) harness.Answer {
		return probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/enrol/totp",
			url.Values{"code": {gate.Browser(t, "h1").Code(key)}}, flow))
	}
	if res := form(owner, key); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("the owner's own: %s\n%.300s", res.Status, res.Text)
	}
	if res := form(thief, stolen); where(res) != "/.gate/login/totp" {
		t.Errorf("enrolling again over the owner's app: %s to %q", res.Status, where(res))
	}
}

// Whoever else is signed in when the app is replaced is not any more.
func TestReplacingTheAppEndsOtherSessions(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "new-phone", "clinician", true)
	thief := probe.SignedIn(t, gate, "harbour", who)
	b := probe.SignedIn(t, gate, "harbour", who)
	key := keyOn(t, b.Get(p.URL+"/.gate/enrol/totp").Text)
	res := b.Post(p.URL+"/.gate/enrol/totp", url.Values{"code": {b.Code(key)}})
	if where(res) != "/.gate/account?done=factor" {
		t.Fatalf("replacing the app: %s to %q\n%.300s", res.Status, where(res), res.Text)
	}
	if res := thief.Fetch(http.MethodGet, p.URL+"/api/echo", nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the other session: %s, want 401", res.Status)
	}
	if res := b.Fetch(http.MethodGet, p.URL+"/api/echo", nil); res.StatusCode != http.StatusOK {
		t.Errorf("one's own session: %s", res.Status)
	}
	if res := code(t, gate, "harbour", "", b.Code(who.TOTPSecret), halfway(t, gate, "harbour", "", who)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a code of the old app: %s, want 401", res.Status)
	}
}
