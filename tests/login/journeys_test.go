package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// later is a gateway eleven minutes after some people signed in: a coffee, a patient,
// and the proof is too old for some things. The clock is moved by ageing what is stored.
type later struct {
	g       *harness.Gateway
	p       harness.Practice // harbour
	people  map[string]harness.Account
	cookies map[string]string // name=value of the session
	expired string            // name=value of a sign-in that was begun then
}

func elevenMinutesLater(t *testing.T) *later {
	t.Helper()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	l := &later{people: map[string]harness.Account{}, cookies: map[string]string{}}
	harbour, acacia := g.Practice("harbour"), g.Practice("acacia")
	for _, name := range []string{"prescriber", "asked-by-backend", "replacer"} {
		l.people[name] = probe.Add(t, g, "harbour", name, "clinician", true)
		l.cookies[name] = probe.Session + "=" + probe.SignedIn(t, g, "harbour", l.people[name]).Cookie(harbour.URL, probe.Session)
	}
	l.people["late"] = probe.Add(t, g, "harbour", "late", "clinician", true)
	l.expired = halfway(t, g, "harbour", "", l.people["late"])
	l.people["clinician"] = acacia.Account("clinician")
	l.cookies["clinician"] = probe.Session + "=" + probe.SignedIn(t, g, "acacia", l.people["clinician"]).Cookie(acacia.URL, probe.Session)
	g.Stop()
	const eleven = int64(11 * time.Minute / time.Microsecond)
	for _, practice := range []string{"harbour", "acacia"} {
		alter(t, state, practice, `UPDATE session_token SET proved_aal1 = MAX(proved_aal1 - ?1, 0), proved_aal2 = MAX(proved_aal2 - ?1, 0)`, eleven)
		alter(t, state, practice, `UPDATE session SET created = created - ?`, eleven)
	}
	alter(t, state, "harbour", `UPDATE flow SET expires = expires - ?`, eleven)
	l.g = harness.StartIn(t, state)
	l.p = l.g.Practice("harbour")
	return l
}

func (l *later) send(t *testing.T, req *http.Request) harness.Answer {
	t.Helper()
	return probe.Send(t, probe.Client(t, l.g, ""), req)
}

// code is the form with a right code.
func (l *later) code(t *testing.T, name, rd, cookie string) *http.Request {
	t.Helper()
	return probe.Form(l.p, "/.gate/login/totp", url.Values{"code": {l.g.Browser(t, "h1").Code(l.people[name].TOTPSecret)}, "rd": {rd}}, cookie)
}

// stepUp proves the second factor again and returns the new session cookie.
func (l *later) stepUp(t *testing.T, name, rd string) string {
	t.Helper()
	res := l.send(t, l.code(t, name, rd, l.cookies[name]))
	next, _ := probe.Cookie(res, probe.Session)
	if where(res) != rd || next == "" || probe.Session+"="+next == l.cookies[name] {
		t.Fatalf("step-up: %s to %q, new id %q", res.Status, where(res), next)
	}
	return probe.Session + "=" + next
}

// script makes a request one that a page's script sends.
func script(req *http.Request) *http.Request {
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	return req
}

func TestElevenMinutesLater(t *testing.T) {
	t.Parallel()
	l := elevenMinutesLater(t)
	t.Run("a prescription asks for the code again", l.prescription)
	t.Run("the backend asks for a fresh sign-in", l.backendAsks)
	t.Run("replacing the app asks for a code of the present one", l.replacingTheApp)
	t.Run("the sign-in in progress is over", l.expiredSignIn)
	t.Run("setting up the first app asks for the password again", l.firstApp)
}

func (l *later) prescription(t *testing.T) {
	cookie := l.cookies["prescriber"]
	write := func(cookie string) *http.Request {
		form := probe.Form(l.p, "/prescriptions/17", url.Values{"medicine": {"amoxicillin"}}, cookie)
		form.Header.Set("Referer", l.p.URL+"/prescriptions/17?tab=new")
		return form
	}
	before := l.g.Hits(t, "/prescriptions")
	if res := l.send(t, write(cookie)); where(res) != "/.gate/login/totp?rd=%2Fprescriptions%2F17%3Ftab%3Dnew" {
		t.Fatalf("%s to %q", res.Status, where(res))
	}
	if res := l.send(t, script(write(cookie))); res.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(res.Header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
		t.Errorf("a script: %s, challenge %q", res.Status, res.Header.Get("WWW-Authenticate"))
	}
	if l.g.Hits(t, "/prescriptions") != before {
		t.Error("the backend saw it all the same")
	}
	if res := l.send(t, probe.Page(l.p, "/prescriptions/17", cookie)); res.StatusCode != http.StatusOK {
		t.Errorf("reading: %s", res.Status)
	}
	page := l.send(t, probe.Page(l.p, "/.gate/login/totp?rd=%2Fprescriptions%2F17", cookie))
	if !strings.Contains(page.Text, "To open prescriptions, confirm it’s you") || !strings.Contains(page.Text, l.people["prescriber"].Email) {
		t.Errorf("the page does not say what for and who: %.300s", page.Text)
	}
	if res := l.send(t, write(l.stepUp(t, "prescriber", "/prescriptions/17"))); res.StatusCode != http.StatusOK {
		t.Errorf("after the code: %s", res.Status)
	}
}

// backendAsks: RFC 9470, spoken between backend and gateway.
func (l *later) backendAsks(t *testing.T) {
	const path = "/stepup?acr_values=aal2&max_age=300"
	cookie := l.cookies["asked-by-backend"]
	if res := l.send(t, probe.Page(l.p, path, cookie)); where(res) != "/.gate/login/totp?rd="+url.QueryEscape(path) {
		t.Fatalf("%s to %q", res.Status, where(res))
	}
	if res := l.send(t, script(probe.Page(l.p, path, cookie))); res.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(res.Header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
		t.Errorf("a script: %s, challenge %q", res.Status, res.Header.Get("WWW-Authenticate"))
	}
	if res := l.send(t, probe.Page(l.p, path, l.stepUp(t, "asked-by-backend", path))); res.StatusCode != http.StatusOK {
		t.Errorf("after the code: %s %.200s", res.Status, res.Text)
	}
}

// replacingTheApp: F4.
func (l *later) replacingTheApp(t *testing.T) {
	cookie := l.cookies["replacer"]
	res := l.send(t, probe.Page(l.p, "/.gate/enrol/totp", cookie))
	if !strings.HasPrefix(where(res), "/.gate/login/totp?rd=") || strings.Contains(res.Text, "secret=") {
		t.Errorf("%s to %q", res.Status, where(res))
	}
	if res := l.send(t, probe.Form(l.p, "/.gate/enrol/totp", url.Values{"code": {"123456"}}, cookie)); !strings.HasPrefix(where(res), "/.gate/login/totp?rd=") {
		t.Errorf("posting: %s to %q", res.Status, where(res))
	}
	if res := l.send(t, probe.Page(l.p, "/.gate/enrol/totp", l.stepUp(t, "replacer", "/.gate/account"))); res.StatusCode != http.StatusOK {
		t.Errorf("after the code: %s", res.Status)
	}
}

func (l *later) expiredSignIn(t *testing.T) {
	res := l.send(t, l.code(t, "late", "/patients", l.expired))
	if where(res) != "/.gate/login?rd=%2Fpatients&expired=1" {
		t.Errorf("%s to %q", res.Status, where(res))
	}
	if _, set := probe.Cookie(res, probe.Session); set {
		t.Error("it signed in")
	}
}

func (l *later) firstApp(t *testing.T) {
	p, who, cookie := l.g.Practice("acacia"), l.people["clinician"], l.cookies["clinician"]
	res := l.send(t, probe.Page(p, "/.gate/enrol/totp", cookie))
	if where(res) != "/.gate/login?again=1&rd=%2F.gate%2Faccount" {
		t.Fatalf("%s to %q", res.Status, where(res))
	}
	page := l.send(t, probe.Page(p, where(res), cookie))
	if page.StatusCode != http.StatusOK || !strings.Contains(page.Text, `name="password"`) || !strings.Contains(page.Text, who.Email) {
		t.Fatalf("the password is not asked for: %s to %q", page.Status, where(page))
	}
	res = l.send(t, probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}, "rd": {"/.gate/account"}}, cookie))
	next, _ := probe.Cookie(res, probe.Session)
	if where(res) != "/.gate/enrol/totp?rd=%2F.gate%2Faccount" {
		t.Errorf("after the password: %s to %q", res.Status, where(res))
	}
	if page := l.send(t, probe.Page(p, "/.gate/enrol/totp", probe.Session+"="+next)); !strings.Contains(page.Text, "secret=") {
		t.Errorf("the key is not shown: %s to %q", page.Status, where(page))
	}
}

// Grace: the page is offered, can be put off, and leads back to where people were going.
func TestGraceOffersEnrolmentAndNotNow(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	who := probe.Add(t, gate, "acacia", "in-grace", "clinician", false)
	b := gate.Browser(t, "h2")
	res := b.Post(p.URL+"/.gate/login?rd=/patients", url.Values{"email": {who.Email}, "password": {who.Password}})
	if where(res) != "/.gate/enrol/totp?rd=%2Fpatients" {
		t.Fatalf("after the password: %s to %q", res.Status, where(res))
	}
	page := b.Get(p.URL + where(res))
	if !strings.Contains(page.Text, `href="/patients"`) || !strings.Contains(page.Text, "Not now") || !strings.Contains(page.Text, "2030") {
		t.Errorf(`no "Not now" to where they were going, with the date: %s`, page.Text)
	}
	if res := b.Get(p.URL + "/"); res.StatusCode != http.StatusOK {
		t.Errorf("not now: %s", res.Status)
	}
	res = b.Post(p.URL+"/.gate/enrol/totp", url.Values{"code": {b.Code(keyOn(t, page.Text))}, "rd": {"/patients"}})
	if where(res) != "/patients" {
		t.Errorf("after setting it up: %s to %q", res.Status, where(res))
	}
	enrolled := probe.Add(t, gate, "acacia", "ahead", "clinician", true)
	if res := password(t, gate, "acacia", "", enrolled.Email, enrolled.Password); where(res) != "/.gate/login/totp" {
		t.Errorf("whoever has an app is asked for its code, grace or not: %s to %q", res.Status, where(res))
	}
}

// A nervous finger sends the code twice: one session, and no "wrong code" that counts.
func TestCodeFormSentTwice(t *testing.T) {
	t.Parallel()
	who := probe.Add(t, gate, "harbour", "nervous", "clinician", true)
	flow := halfway(t, gate, "harbour", "", who)
	right := gate.Browser(t, "h1").Code(who.TOTPSecret)
	answers := make(chan harness.Answer, 4)
	var wait sync.WaitGroup
	for range cap(answers) {
		wait.Go(func() { answers <- code(t, gate, "harbour", "", right, flow) })
	}
	wait.Wait()
	close(answers)
	session := ""
	for res := range answers {
		value, set := probe.Cookie(res, probe.Session)
		switch {
		case set && session == "" && where(res) == "/":
			session = value
		case set || where(res) != "/.gate/login?expired=1":
			t.Errorf("a twin: %s to %q, session cookie touched: %t", res.Status, where(res), set)
		}
	}
	if session == "" {
		t.Fatal("nobody is signed in")
	}
	res := probe.Send(t, probe.Client(t, gate, ""), probe.Page(gate.Practice("harbour"), "/.gate/login?expired=1", probe.Session+"="+session))
	if where(res) != "/" {
		t.Errorf("the browser that has the cookie is not led in: %s to %q", res.Status, where(res))
	}
}

// Two tabs begin to sign in; the cookie of the later one counts, and the form of the
// earlier one does no harm.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "two-tabs", "clinician", true)
	b := gate.Browser(t, "h1")
	for range 2 {
		b.Post(p.URL+"/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}})
	}
	if res := b.Post(p.URL+"/.gate/login/totp", url.Values{"code": {b.Code(who.TOTPSecret)}}); where(res) != "/" {
		t.Fatalf("first tab: %s to %q", res.Status, where(res))
	}
	session := b.Cookie(p.URL, probe.Session)
	// The second tab's form is now about a session: without a question it asks nothing.
	if res := b.Get(p.URL + "/.gate/login/totp"); where(res) != "/" {
		t.Errorf("back to the code page: %s to %q, want the start page", res.Status, where(res))
	}
	if res := b.Get(p.URL + "/.gate/login?rd=/patients"); where(res) != "/patients" {
		t.Errorf("back to the sign-in page: %s to %q", res.Status, where(res))
	}
	if b.Cookie(p.URL, probe.Session) != session {
		t.Error("looking at old pages changed the session")
	}
}

// Somebody begins to sign in over an open session and walks away: its owner is not
// asked for the other's code for ever.
func TestAbandonedSignInOverASession(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	owner := probe.Add(t, gate, "harbour", "owner", "clinician", true)
	guest := probe.Add(t, gate, "harbour", "guest", "clinician", true)
	b := probe.SignedIn(t, gate, "harbour", owner)
	b.Post(p.URL+"/.gate/login", url.Values{"email": {guest.Email}, "password": {guest.Password}})
	if page := b.Get(p.URL + "/.gate/login/totp?rd=/x"); !strings.Contains(page.Text, guest.Email) {
		t.Fatalf("whose code is asked for is not said: %.300s", page.Text)
	}
	if res := b.Get(p.URL + "/.gate/login"); where(res) != "/" {
		t.Fatalf("start again: %s to %q", res.Status, where(res))
	}
	if page := b.Get(p.URL + "/.gate/login/totp?rd=/x"); !strings.Contains(page.Text, owner.Email) || strings.Contains(page.Text, guest.Email) {
		t.Errorf("the owner is still asked for the guest's code: %.300s", page.Text)
	}
}

// "Not you? Start again" at a shared workstation: nothing of the sign-in that was begun
// is left, in the browser or on the server, and nobody is told that they signed out.
func TestNotYouEndsTheSignIn(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "not-you", "clinician", true)
	flow := halfway(t, gate, "harbour", "", who)
	res := probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/logout", nil, flow))
	if gone, set := probe.Cookie(res, probe.Flow); where(res) != "/.gate/login" || !set || gone != "" {
		t.Errorf("not you: %s to %q, cookie left: %q", res.Status, where(res), gone)
	}
	res = code(t, gate, "harbour", "", gate.Browser(t, "h1").Code(who.TOTPSecret), flow)
	if session, _ := probe.Cookie(res, probe.Session); session != "" || where(res) != "/.gate/login?expired=1" {
		t.Errorf("a copy of the cookie, and the right code: %s to %q", res.Status, where(res))
	}
}

// What happens between password and code counts when the code comes.
func TestChangesBetweenPasswordAndCode(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	for _, row := range []struct {
		name   string
		change func(t *testing.T, who harness.Account)
	}{
		{"disabled", func(t *testing.T, who harness.Account) {
			probe.Must(t, g, "user", "disable", who.Email, "--practice", "harbour")
		}},
		{"disabled-and-back", func(t *testing.T, who harness.Account) {
			probe.Must(t, g, "user", "disable", who.Email, "--practice", "harbour")
			probe.Eventually(t, 5*time.Second, "the gateway knows", func() bool {
				return strings.Contains(probe.Must(t, g, "user", "list", "--practice", "harbour", "--json"), who.Email)
			})
			probe.Must(t, g, "user", "enable", who.Email, "--practice", "harbour")
		}},
		{"new-password", func(t *testing.T, who harness.Account) {
			probe.MustWith(t, g, "another-calm-lantern-8812", "user", "password", who.Email, "--practice", "harbour", "--password-file", "-")
		}},
		{"revoked", func(t *testing.T, who harness.Account) {
			probe.Must(t, g, "session", "revoke", "--user", who.Email, "--practice", "harbour")
		}},
		{"password-off", func(t *testing.T, _ harness.Account) {
			document := probe.Must(t, g, "practice", "export", "harbour")
			probe.MustWith(t, g, strings.ReplaceAll(document, "password", "passkey"), "practice", "apply", "-f", "-")
			p := g.Practice("harbour")
			probe.Eventually(t, 5*time.Second, "the policy is in force", func() bool {
				return probe.Send(t, probe.Client(t, g, ""), probe.Page(p, "/.gate/login")).StatusCode != http.StatusOK
			})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			who := probe.Add(t, g, "harbour", row.name, "clinician", true)
			flow := halfway(t, g, "harbour", "", who)
			row.change(t, who)
			res := code(t, g, "harbour", "", g.Browser(t, "h1").Code(who.TOTPSecret), flow)
			if session, _ := probe.Cookie(res, probe.Session); session != "" {
				t.Errorf("it signed in: %s to %q", res.Status, where(res))
			}
		})
	}
}

// HEAD is GET without a body, on every page, and changes nothing.
func TestHeadChangesNothing(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	b := probe.SignedIn(t, gate, "acacia", probe.Add(t, gate, "acacia", "header", "clinician", false))
	for _, path := range []string{"/.gate/login", "/.gate/account", "/.gate/logout", "/.gate/session", "/.gate/enrol/totp", "/.gate/login/totp", "/.gate/jwks.json", "/.gate/health"} {
		head := b.Do(b.Request(http.MethodHead, p.URL+path, nil))
		get := b.Do(b.Request(http.MethodGet, p.URL+path, nil))
		if head.StatusCode != get.StatusCode || head.Text != "" || where(head) != where(get) {
			t.Errorf("HEAD %s: %s to %q, GET %s to %q", path, head.Status, where(head), get.Status, where(get))
		}
		if len(head.Header["Set-Cookie"]) > 0 {
			t.Errorf("HEAD %s sets %q", path, head.Header["Set-Cookie"])
		}
	}
	if res := b.Do(b.Request(http.MethodHead, p.URL+"/.gate/account/sessions/end", nil)); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD on a form's address: %s, want 405", res.Status)
	}
}

// Six people at 8 a.m. behind one address, each at once.
func TestSixPeopleSignInAtOnce(t *testing.T) {
	t.Parallel()
	var team []harness.Account
	for _, name := range []string{"one", "two", "three", "four", "five", "six"} {
		team = append(team, probe.Add(t, gate, "harbour", "team-"+name, "clinician", true))
	}
	var wait sync.WaitGroup
	for _, who := range team {
		wait.Go(func() {
			b := gate.Browser(t, "h2")
			p := gate.Practice("harbour")
			b.SignIn(p, who)
			if got, _ := b.Fetch(http.MethodGet, p.URL+"/.gate/session", nil).JSON(t)["user"].(map[string]any); got["email"] != who.Email {
				t.Errorf("signed in as %v, want %s", got["email"], who.Email)
			}
		})
	}
	wait.Wait()
}
