package faults_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// Twenty config reloads under traffic: no request fails, nobody is logged out, open
// streams go on, and nothing is left running.
func TestTwentyReloadsUnderTraffic(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	res, err := signIn(t, probe.Client(t, g, ""), p, p.Account("clinician"))
	if err != nil {
		t.Fatal(err)
	}
	session := sessionOf(res)
	probe.Reload(t, g) // what the first reload makes once is no leak
	before := probe.Goroutines(t, g)
	streams := probe.Streams(t, g, p, session)

	var stop atomic.Bool
	var requests atomic.Int64
	var traffic sync.WaitGroup
	for range 3 {
		client := probe.Client(t, g, "")
		traffic.Go(func() {
			for !stop.Load() {
				status, err := patiently(client, script(p, "/api/echo", session))
				if err != nil || status != http.StatusOK {
					t.Errorf("a request during the reloads: %d %v", status, err)
					return
				}
				requests.Add(1)
			}
		})
	}
	const reloads = 20
	for range reloads {
		probe.Reload(t, g)
	}
	for _, s := range streams {
		s.Alive(t)
	}
	stop.Store(true)
	traffic.Wait()
	t.Logf("%d requests during the reloads", requests.Load())
	if requests.Load() == 0 {
		t.Error("no traffic")
	}
	// The end of the session still reaches what was opened before the reloads (Z3).
	probe.Must(t, g, "session", "revoke", "--all", "--practice", "acacia")
	for _, s := range streams {
		s.CutWithin(t, 1500*time.Millisecond)
	}
	probe.Eventually(t, 20*time.Second, "what the reloads started has ended", func() bool {
		return probe.Goroutines(t, g) < before+reloads // a leak is at least one for each
	})
	if n := probe.Metric(t, g, "clinicgate_open_streams"); n != 0 {
		t.Errorf("%v streams are counted as open", n)
	}
}

// patiently sends a request again when its connection breaks, as browsers do. Linux
// resets connections that wait to be accepted on a socket that closes, and Caddy opens
// a new socket with every config; net.ipv4.tcp_migrate_req=1 keeps them.
func patiently(client *http.Client, req *http.Request) (status int, err error) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		var res *http.Response
		if res, err = client.Do(req); err != nil {
			continue
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res.StatusCode, err
	}
	return 0, err
}

// A config that is refused changes nothing.
func TestRefusedConfigLeavesTheRunningOne(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	client := probe.Client(t, g, "")
	res, err := signIn(t, client, p, p.Account("clinician"))
	if err != nil {
		t.Fatal(err)
	}
	session := sessionOf(res)
	_, config := probe.Admin(t, g, http.MethodGet, "/config/", "")
	for name, broken := range map[string]string{
		"no state":        strings.Replace(config, `"state":`, `"stat":`, 1),
		"another handler": strings.Replace(config, `"practice_enforce"`, `"practice_enforced"`, 1),
		"no JSON":         config[:len(config)/2],
	} {
		if status, text := probe.Admin(t, g, http.MethodPost, "/load", broken); status == http.StatusOK {
			t.Errorf("%s: taken: %s", name, text)
		}
		if res := probe.Send(t, client, script(p, "/api/echo", session)); res.StatusCode != http.StatusOK {
			t.Errorf("%s: the session answers %s", name, res.Status)
		}
		if got := probe.Metric(t, g, "clinicgate_practices"); got != 4 {
			t.Errorf("%s: the figures show %v practices", name, got)
		}
	}
}

// A policy file with a mistake is refused with file, line and reason; the policy in
// force stays in force, and so do all others of the same call.
func TestBrokenPolicyFileIsRefused(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	good := probe.Must(t, g, "practice", "export", "acacia")
	p := g.Practice("acacia")
	before := probe.Must(t, g, "practice", "show", "acacia", "--json")
	folder := t.TempDir()
	other := filepath.Join(folder, "harbour.yaml")
	changed := strings.Replace(probe.Must(t, g, "practice", "export", "harbour"), "Harbour Family Practice", "Harbour Renamed", 1)
	write(t, other, changed)
	for _, row := range []struct{ name, from, to, line, reason string }{
		{"unknown field", "name: Acacia Clinic", "nmae: Acacia Clinic", ":2: ", "nmae"},
		{"unknown role", "access:", "step_up: []\naccess:\n  - {path: /x/*, roles: [wizard]}", ": ", "wizard"},
		{"not YAML", "name: Acacia Clinic", "name: [Acacia Clinic", ":", ""},
		{"another practice's host", "acacia.localhost", "harbour.localhost", "", "harbour"},
		{"unknown stage", "stage: grace", "stage: sometimes", ": ", "sometimes"},
	} {
		broken := strings.Replace(good, row.from, row.to, 1)
		if broken == good {
			t.Fatalf("%s: %q is not in the document:\n%s", row.name, row.from, good)
		}
		file := filepath.Join(folder, "acacia.yaml")
		write(t, file, broken)
		out, errs, code := g.Run(t, "practice", "apply", "-f", other, "-f", file)
		if code != 1 || !strings.Contains(errs, file) || !strings.Contains(errs, row.line) || !strings.Contains(errs, row.reason) {
			t.Errorf("%s: exit %d, want 1 with file, line and %q\n%s%s", row.name, code, row.reason, out, errs)
		}
		if row.line != "" && !regexp.MustCompile(regexp.QuoteMeta(file)+`:\d+: `).MatchString(errs) {
			t.Errorf("%s: the line is not named: %s", row.name, errs)
		}
	}
	if after := probe.Must(t, g, "practice", "show", "acacia", "--json"); after != before {
		t.Errorf("the policy changed:\n%s\n%s", before, after)
	}
	if strings.Contains(probe.Must(t, g, "practice", "export", "harbour"), "Renamed") {
		t.Error("the good document of a refused call was applied")
	}
	if res, err := signIn(t, probe.Client(t, g, ""), p, p.Account("clinician")); err != nil || sessionOf(res) == "" {
		t.Errorf("signing in under the policy that stayed: %v %v", res, err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
