package sessions_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the state is a SQLite file; the gateway is stopped while a test writes to it

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// C10: "I could not look" is not "there is none".
func TestStoreErrorIsNotALogout(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	p := g.Practice("acacia")
	session := probe.SignedIn(t, g, "acacia", p.Account("clinician")).Cookie(p.URL, probe.Session)
	g.Stop()

	g = harness.StartIn(t, state)
	p = g.Practice("acacia")
	mine := filepath.Join(state, "practices", "acacia.db")
	if err := os.Rename(mine, mine+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("this is not a database, it is a broken disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := probe.Client(t, g, "")
	for name, req := range map[string]*http.Request{
		"page":          probe.Page(p, "/", "__Host-gate="+session),
		"script":        api(p, "/api/echo", "__Host-gate="+session),
		"sign-in page":  probe.Page(p, "/.gate/login", "__Host-gate="+session),
		"who am I":      api(p, "/.gate/session", "__Host-gate="+session),
		"logout":        probe.Form(p, "/.gate/logout", nil, "__Host-gate="+session),
		"code":          probe.Form(p, "/.gate/login/totp", map[string][]string{"code": {"123456"}}, "__Host-gate="+session),
		"password":      probe.Form(p, "/.gate/login", map[string][]string{"email": {"a@b.test"}, "password": {"x"}}),
		"public as one": api(p, "/booking/", "__Host-gate="+session),
	} {
		res := probe.Send(t, client, req)
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s, Retry-After %q, want 503 with one", name, res.Status, res.Header.Get("Retry-After"))
		}
		if len(res.Header["Set-Cookie"]) > 0 || res.Header.Get("Location") != "" {
			t.Errorf("%s: Set-Cookie %q, Location %q: the session is not ours to end", name, res.Header["Set-Cookie"], res.Header.Get("Location"))
		}
	}
	if probe.Metric(t, g, `clinicgate_refusals_total{reason="could_not_decide"}`) == 0 {
		t.Error("no alarm in the metrics")
	}
	if err := os.Rename(mine+".away", mine); err != nil {
		t.Fatal(err)
	}
	probe.Eventually(t, 10*time.Second, "the session answers again", func() bool {
		return probe.Send(t, client, api(p, "/api/echo", "__Host-gate="+session)).StatusCode == http.StatusOK
	})
}

// C6: both limits hold, also for a session that was not used while the gateway was
// down. The clock is moved by ageing what is stored.
func TestIdleAndAbsoluteLimits(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	sessions := map[string]string{}
	for _, name := range []string{"fresh", "idle", "old"} {
		p := g.Practice("acacia")
		sessions[name] = probe.SignedIn(t, g, "acacia", probe.Add(t, g, "acacia", name, "clinician", false)).Cookie(p.URL, probe.Session)
	}
	g.Stop()
	age(t, state, "idle", 16*time.Minute, 16*time.Minute)
	age(t, state, "old", 13*time.Hour, time.Minute)
	age(t, state, "fresh", 11*time.Hour, 14*time.Minute)

	g = harness.StartIn(t, state)
	p := g.Practice("acacia")
	for name, want := range map[string]int{"fresh": http.StatusOK, "idle": http.StatusUnauthorized, "old": http.StatusUnauthorized} {
		res := probe.Send(t, probe.Client(t, g, ""), api(p, "/api/echo", "__Host-gate="+sessions[name]))
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", name, res.Status, want)
		}
	}
}

// age makes somebody's sessions older: begun and last seen so long ago.
func age(t *testing.T, state, name string, created, seen time.Duration) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(state, "practices", "acacia.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	done, err := db.Exec(`UPDATE session SET created = ?, last_seen = ? WHERE person = (SELECT id FROM person WHERE email = ?)`,
		now.Add(-created).UnixMicro(), now.Add(-seen).UnixMicro(), name+"@acacia.test")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("ageing %s changed %d rows: %v", name, n, err)
	}
}
