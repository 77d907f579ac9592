package sessions_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// soon is how long an ending may take to reach requests and streams (DESIGN section 9),
// with a little for a busy machine.
const soon = 1500 * time.Millisecond

// C4, Z3: signing out ends the session on the server, streams included.
func TestLogoutKillsTheSessionOnTheServer(t *testing.T) {
	t.Parallel()
	p, b, session := person(t, "leaving")
	streams := probe.Streams(t, gate, p, session)
	for _, s := range streams {
		s.Alive(t)
	}
	res := b.Post(p.URL+"/.gate/logout", url.Values{})
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("logout: %s", res.Status)
	}
	if value, set := probe.Cookie(res, probe.Session); !set || value != "" {
		t.Error("logout left the cookie in the browser")
	}
	for _, s := range streams {
		s.CutWithin(t, time.Second)
	}
	if status := as(t, p, "/api/echo", "__Host-gate="+session); status != http.StatusUnauthorized {
		t.Errorf("a copy of the cookie answers %d after logout", status)
	}
}

// At a shared workstation the back button asks no server: what the person saw goes from
// the browser's cache with the sign-out, and nothing else of the practice's does.
func TestSignOutEmptiesTheCache(t *testing.T) {
	t.Parallel()
	p, b, _ := person(t, "leaving-nothing")
	res := b.Post(p.URL+"/.gate/logout", url.Values{})
	if got := res.Header["Clear-Site-Data"]; len(got) != 1 || got[0] != `"cache"` {
		t.Errorf("sign-out: %s with Clear-Site-Data %q", res.Status, got)
	}
}

// A sign-in that was begun ends with a logout too.
func TestLogoutEndsTheSignInInProgress(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	who := probe.Add(t, gate, "harbour", "half-way-out", "clinician", true)
	b := gate.Browser(t, "h1")
	b.Post(p.URL+"/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}})
	flow := b.Cookie(p.URL, probe.Flow)
	b.Post(p.URL+"/.gate/logout", url.Values{})
	req := probe.Form(p, "/.gate/login/totp", url.Values{"code": {b.Code(who.TOTPSecret)}}, probe.Flow+"="+flow)
	res := probe.Send(t, probe.Client(t, gate, ""), req)
	if value, _ := probe.Cookie(res, probe.Session); value != "" {
		t.Error("a copy of the flow cookie signed in after the logout")
	}
}

// C7, Z3: what an operator does from the command line reaches requests and open
// streams within a second.
func TestCommandLineEndsLiveSessions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		args func(session string) []string
	}{
		{"revoke-one", func(id string) []string { return []string{"session", "revoke", id, "--practice", "acacia"} }},
		{"revoke-user", func(string) []string {
			return []string{"session", "revoke", "--user", "revoke-user@acacia.test", "--practice", "acacia"}
		}},
		{"disable", func(string) []string {
			return []string{"user", "disable", "disable@acacia.test", "--practice", "acacia"}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, b, session := person(t, row.name)
			id, _ := b.Fetch(http.MethodGet, p.URL+"/.gate/session", nil).JSON(t)["session_id"].(string)
			endsWith(t, gate, p, session, http.StatusUnauthorized, row.args(id)...)
		})
	}
	t.Run("password", func(t *testing.T) {
		p, _, session := person(t, "password")
		streams := probe.Streams(t, gate, p, session)
		probe.MustWith(t, gate, "another-calm-lantern-8812", "user", "password", "password@acacia.test", "--practice", "acacia", "--password-file", "-")
		ended(t, gate, p, session, http.StatusUnauthorized, streams)
	})
}

// endsWith runs a command and expects session and streams to be over.
func endsWith(t *testing.T, g *harness.Gateway, p harness.Practice, session string, want int, args ...string) {
	t.Helper()
	streams := probe.Streams(t, g, p, session)
	for _, s := range streams {
		s.Alive(t)
	}
	probe.Must(t, g, args...)
	ended(t, g, p, session, want, streams)
}

func ended(t *testing.T, g *harness.Gateway, p harness.Practice, session string, want int, streams []*probe.Stream) {
	t.Helper()
	client := probe.Client(t, g, "")
	probe.Eventually(t, soon, "requests are refused", func() bool {
		return probe.Send(t, client, api(p, "/api/echo", "__Host-gate="+session)).StatusCode == want
	})
	for _, s := range streams {
		s.CutWithin(t, soon)
	}
}

// The same for all of a practice at once: on a demo of its own, since it hits everybody.
func TestCommandLineEndsAPracticesSessions(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	other := g.Practice("harbour")
	neighbour := probe.SignedIn(t, g, "harbour", other.Account("admin"))
	untouched := probe.Streams(t, g, other, neighbour.Cookie(other.URL, probe.Session))
	signIn := func() string {
		return probe.SignedIn(t, g, "acacia", p.Account("clinician")).Cookie(p.URL, probe.Session)
	}
	endsWith(t, g, p, signIn(), http.StatusUnauthorized, "session", "revoke", "--all", "--practice", "acacia")
	endsWith(t, g, p, signIn(), http.StatusForbidden, "practice", "suspend", "acacia")
	for _, s := range untouched {
		s.Alive(t)
	}
	if res := neighbour.Fetch(http.MethodGet, other.URL+"/api/echo", nil); res.StatusCode != http.StatusOK {
		t.Errorf("the neighbour's session: %s", res.Status)
	}
}

// C7: roles that were taken away are gone from the next request on, and what was
// opened with them is closed.
func TestRolesChangeOnLiveSessions(t *testing.T) {
	t.Parallel()
	p, b, session := person(t, "moving")
	streams := probe.Streams(t, gate, p, session)
	probe.Must(t, gate, "user", "roles", "moving@acacia.test", "--role", "billing", "--practice", "acacia")
	probe.Eventually(t, soon, "the new role", func() bool {
		return strings.Contains(b.Fetch(http.MethodGet, p.URL+"/api/echo", nil).Text, `"X-User-Roles":["billing"]`)
	})
	for _, s := range streams {
		s.CutWithin(t, soon)
	}
	if res := b.Get(p.URL + "/billing/"); res.StatusCode != http.StatusOK {
		t.Errorf("billing on /billing/: %s", res.Status)
	}
	probe.Must(t, gate, "user", "roles", "moving@acacia.test", "--role", "clinician", "--practice", "acacia")
	probe.Eventually(t, soon, "/billing/ is closed", func() bool {
		return b.Get(p.URL+"/billing/").StatusCode == http.StatusForbidden
	})
}

// The list on the account page ends others' sessions of the same person and nobody else's.
func TestAccountPageEndsOnlyOnesOwnSessions(t *testing.T) {
	t.Parallel()
	p, b, session := person(t, "owner")
	_, stranger, strangers := person(t, "stranger")
	second := probe.SignedIn(t, gate, "acacia", harness.Account{Email: "owner@acacia.test", Password: "quiet-harbour-lantern-4471"})
	strangerID, _ := stranger.Fetch(http.MethodGet, p.URL+"/.gate/session", nil).JSON(t)["session_id"].(string)

	b.Post(p.URL+"/.gate/account/sessions/end", url.Values{"session": {strangerID}})
	if status := as(t, p, "/api/echo", "__Host-gate="+strangers); status != http.StatusOK {
		t.Fatalf("somebody else's session ended: %d", status)
	}
	b.Post(p.URL+"/.gate/account/sessions/end", url.Values{"all": {"others"}})
	if status := as(t, p, "/api/echo", "__Host-gate="+second.Cookie(p.URL, probe.Session)); status != http.StatusUnauthorized {
		t.Errorf("the other session answers %d", status)
	}
	if status := as(t, p, "/api/echo", "__Host-gate="+session); status != http.StatusOK {
		t.Errorf("one's own session answers %d", status)
	}
}
