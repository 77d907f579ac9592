package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// The power fails during five hundred sign-ins. No answered sign-in is missing from
// the audit log, the databases open clean, and who was let in is still in.
func TestPowerFailsDuringFiveHundredSignIns(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	p := g.Practice("acacia")
	const people, rounds, killAt = 20, 25, 150
	staff := make([]harness.Account, people)
	for i := range staff {
		staff[i] = probe.Add(t, g, "acacia", fmt.Sprintf("staff-%d", i), "clinician", false)
	}

	var mu sync.Mutex
	answered := map[string][]string{} // session cookies by person
	total := 0
	enough := make(chan struct{})
	var wait sync.WaitGroup
	for i, who := range staff {
		client := probe.Client(t, g, fmt.Sprintf("127.0.8.%d", 1+i))
		wait.Go(func() {
			for range rounds {
				res, err := signIn(t, client, p, who)
				if err != nil {
					return // the power is gone
				}
				session := sessionOf(res)
				if session == "" {
					continue
				}
				mu.Lock()
				answered[who.Email] = append(answered[who.Email], session)
				if total++; total == killAt {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(90 * time.Second):
		t.Error("the sign-ins do not get on")
	}
	g.Kill()
	wait.Wait()
	t.Logf("%d of %d sign-ins were answered before the power failed", total, people*rounds)

	g = harness.StartIn(t, state)
	sound(t, g)
	p = g.Practice("acacia")
	recorded := signedIn(t, g, "acacia")
	client := probe.Client(t, g, "")
	for email, sessions := range answered {
		res := probe.Send(t, client, script(p, "/.gate/session", sessions[0]))
		user, _ := res.JSON(t)["user"].(map[string]any)
		if id, _ := user["id"].(string); recorded[id] < len(sessions) {
			t.Errorf("%s was let in %d times, %d are in the log", email, len(sessions), recorded[id])
		}
		for _, session := range sessions {
			if res := probe.Send(t, client, script(p, "/.gate/session", session)); res.StatusCode != http.StatusOK {
				t.Errorf("a session of %s: %s after the restart", email, res.Status)
			}
		}
	}
	if res, err := signIn(t, client, p, staff[0]); err != nil || sessionOf(res) == "" {
		t.Errorf("signing in after the restart: %v %v", res, err)
	}
}

// SIGTERM: streams end, what is in memory is written, the files are closed.
func TestCleanShutdown(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	p := g.Practice("acacia")
	client := probe.Client(t, g, "")
	res, err := signIn(t, client, p, p.Account("clinician"))
	if err != nil {
		t.Fatal(err)
	}
	session := sessionOf(res)
	streams := probe.Streams(t, g, p, session)
	// A refusal is written behind: it must not be lost with the end.
	probe.Send(t, client, script(p, "/billing/", session))
	began := time.Now()
	g.Stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the end took %s", took)
	}
	for _, s := range streams {
		s.CutWithin(t, time.Second)
	}
	for _, pattern := range []string{"*.db-wal", "practices/*.db-wal"} {
		left, _ := filepath.Glob(filepath.Join(state, pattern))
		for _, file := range left {
			if info, err := os.Stat(file); err == nil && info.Size() > 0 {
				t.Errorf("%s was left with %d bytes", filepath.Base(file), info.Size())
			}
		}
	}
	g = harness.StartIn(t, state)
	sound(t, g)
	p = g.Practice("acacia")
	if res := probe.Send(t, probe.Client(t, g, ""), script(p, "/api/echo", session)); res.StatusCode != http.StatusOK {
		t.Errorf("the session after the restart: %s", res.Status)
	}
	probe.Audited(t, g, "acacia", "rule_role_missing")
}
