package tenants_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the state is SQLite files, which a test swaps and alters

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// T5: a practice goes, another gets its host, and later its name is used again. What
// people held of the first is worth nothing to either.
func TestRemovedPracticesHostAndNameAreReused(t *testing.T) {
	t.Parallel()
	p := probe.Open(t, gate, "leaving", "shared.localhost")
	who := probe.Add(t, gate, "leaving", "left-behind@agency.test", "clinician", false)
	enrolled := probe.Add(t, gate, "leaving", "half-way@agency.test", "clinician", true)
	in := signIn(t, gate, p, who)
	session, device := named(t, in, probe.Session), named(t, in, probe.Device)
	flow := named(t, signIn(t, gate, p, enrolled), probe.Flow)
	streams := probe.Streams(t, gate, p, strings.TrimPrefix(session, probe.Session+"="))

	probe.Must(t, gate, "practice", "remove", "leaving", "--yes")
	for _, s := range streams {
		s.CutWithin(t, 1500*time.Millisecond)
	}
	probe.Eventually(t, 1500*time.Millisecond, "the host is not served", func() bool {
		return script(t, gate, p, "/api/echo", session).StatusCode == http.StatusMisdirectedRequest
	})
	dead := func(p harness.Practice) {
		t.Helper()
		if res := script(t, gate, p, "/api/echo", session, device); res.StatusCode != unauthorized {
			t.Errorf("%s: the old session: %s, want 401", p.ID, res.Status)
		}
		if res := probe.Send(t, probe.Client(t, gate, ""), probe.Page(p, "/.gate/login/totp", flow)); !strings.HasPrefix(where(res), "/.gate/login?") {
			t.Errorf("%s: the old sign-in in progress: %s to %q", p.ID, res.Status, where(res))
		}
		if res := signIn(t, gate, p, who, device); res.StatusCode != unauthorized {
			t.Errorf("%s: the old password: %s, want 401", p.ID, res.Status)
		}
	}
	dead(probe.Open(t, gate, "arriving", "shared.localhost"))
	probe.Must(t, gate, "practice", "remove", "arriving", "--yes")
	again := probe.Open(t, gate, "leaving", "shared.localhost")
	dead(again)
	if out, _, code := gate.Run(t, "user", "list", "--practice", "leaving", "--json"); code != 0 || strings.Contains(out, "left-behind") {
		t.Errorf("the new practice of the old name has its people: exit %d\n%s", code, out)
	}
	probe.Must(t, gate, "audit", "verify", "--practice", "leaving")
}

// T5: suspended is stopped, for everybody, everywhere, and comes back as it was.
func TestSuspendedPracticeStops(t *testing.T) {
	t.Parallel()
	p := probe.Open(t, gate, "resting", "resting.localhost")
	who := probe.Add(t, gate, "resting", "rested@agency.test", "clinician", false)
	session := named(t, signIn(t, gate, p, who), probe.Session)
	probe.Must(t, gate, "practice", "suspend", "resting")
	probe.Eventually(t, 1500*time.Millisecond, "the session stops", func() bool {
		return script(t, gate, p, "/api/echo", session).StatusCode == http.StatusForbidden
	})
	for _, path := range []string{"/.gate/login", "/.gate/session", "/.gate/jwks.json", "/booking/"} {
		if res := script(t, gate, p, path, session); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s, want 403", path, res.Status)
		}
	}
	if res := signIn(t, gate, p, who); res.StatusCode != http.StatusForbidden {
		t.Errorf("signing in: %s, want 403", res.Status)
	}
	probe.Must(t, gate, "practice", "resume", "resting")
	probe.Eventually(t, 1500*time.Millisecond, "the practice is served again", func() bool {
		return script(t, gate, p, "/api/echo", session).StatusCode == http.StatusOK
	})
}

// T6: the files of two practices change places. Everybody is told to come back; nobody
// is somebody of the other practice.
func TestSwappedDatabasesServeNobody(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	sessions := map[string]string{}
	for _, id := range []string{"swap-a", "swap-b"} {
		p := probe.Open(t, g, id, id+".localhost")
		sessions[id] = named(t, signIn(t, g, p, probe.Add(t, g, id, "same@agency.test", "clinician", false)), probe.Session)
	}
	g.Stop()
	g = harness.StartIn(t, state)
	at := func(id string) harness.Practice {
		acacia := g.Practice("acacia").URL
		return harness.Practice{ID: id, URL: strings.Replace(acacia, "acacia", id, 1)}
	}
	file := func(id string) string { return filepath.Join(state, "practices", id+".db") }
	swap := func() {
		for _, move := range [][2]string{{"swap-a", "third"}, {"swap-b", "swap-a"}, {"third", "swap-b"}} {
			if err := os.Rename(file(move[0]), file(move[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap()
	for id := range sessions {
		for holder, session := range sessions {
			want := http.StatusServiceUnavailable
			if holder != id {
				want = http.StatusUnauthorized // the cookie is another practice's, which shows before its store is asked
			}
			res := script(t, g, at(id), "/api/echo", session)
			if res.StatusCode != want || len(res.Header["Set-Cookie"]) > 0 {
				t.Errorf("session of %s at %s: %s, want %d", holder, id, res.Status, want)
			}
		}
	}
	if !strings.Contains(g.Log(), "could not decide") || probe.Metric(t, g, `clinicgate_refusals_total{reason="could_not_decide"}`) == 0 {
		t.Error("no alarm")
	}
	swap()
	for id, session := range sessions {
		probe.Eventually(t, 10*time.Second, id+" is served again", func() bool {
			return script(t, g, at(id), "/.gate/session", session).StatusCode == http.StatusOK
		})
	}
}

// T6: a row that names another practice is not read as this one's.
func TestRowOfAnotherPracticeIsNotServed(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	p := g.Practice("acacia")
	session := named(t, signIn(t, g, p, p.Account("clinician")), probe.Session)
	g.Stop()
	db, err := sql.Open("sqlite", filepath.Join(state, "practices", "acacia.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE person SET practice = 'harbour'`, `UPDATE person_role SET practice = 'harbour'`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	g = harness.StartIn(t, state)
	p = g.Practice("acacia")
	if res := script(t, g, p, "/api/echo", session); res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != unauthorized {
		t.Errorf("a session of a person of another practice: %s", res.Status)
	}
	if res := signIn(t, g, p, p.Account("clinician")); res.StatusCode == http.StatusSeeOther {
		t.Error("somebody of another practice signed in")
	}
}
