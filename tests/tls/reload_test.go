package tls_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"clinicgate/tests/harness"
)

// reload hands the installation's Caddyfile to the running gateway, as the systemd
// unit does.
func (i *install) reload(t *testing.T) (said string, code int) {
	t.Helper()
	_, stderr, code := harness.Run(t, "", "reload", "--config", i.path("etc/Caddyfile"), "--address", "unix/"+i.socket(), "--force")
	return stderr, code
}

// status is what a practice answers to somebody who is signed in there, or not.
func (i *install) status(t *testing.T, host, path string, cookie *http.Cookie) answer {
	t.Helper()
	req := request(t, http.MethodGet, host, path)
	if cookie != nil {
		req.AddCookie(cookie)
	}
	return do(t, i.client(t, "h1", ""), req)
}

// TestBrokenConfigIsRefusedAndTheOldOneServes: with file, line and reason, whatever is
// broken, and nothing of the refused config is in force afterwards.
func TestBrokenConfigIsRefusedAndTheOldOneServes(t *testing.T) {
	i := serve(t)
	session := i.signIn(t, north)
	caddyfile, err := os.ReadFile(i.path("etc/Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	platform := shipped(t, "platform.yaml")
	raised := strings.Replace(platform, "second_factor: report", "second_factor: enforced", 1)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	_, httpsPort, _ := net.SplitHostPort(i.https)
	edited := func(from, to string) string {
		t.Helper()
		if !strings.Contains(string(caddyfile), from) {
			t.Fatalf("the Caddyfile has no %q", from)
		}
		return strings.Replace(string(caddyfile), from, to, 1)
	}
	for _, c := range []struct {
		name, caddyfile, platform string
		want                      []string
	}{
		{"unknown option", edited("\tpractice_gateway", "\tpractice_gateway {\n\t\tspeed high\n\t}"), raised, []string{"Caddyfile:", "speed"}},
		{"unknown directive", edited("\tpractice_gateway", "\tpractise_gateway"), raised, []string{"Caddyfile:", "practise_gateway"}},
		{"brace missing", strings.TrimRight(string(caddyfile), "}\n"), raised, []string{"Caddyfile:"}},
		{"unknown field", string(caddyfile), "floor:\n  idle: 1h\n  idel: 2h\n", []string{"platform.yaml:3", "idel"}},
		{"field twice", string(caddyfile), "floor:\n  idle: 1h\n  idle: 2h\n", []string{"platform.yaml:3", "idle"}},
		{"wrong value", string(caddyfile), "floor:\n  second_factor: sometimes\n", []string{"platform.yaml:2", "second_factor", "sometimes"}},
		{"not YAML", string(caddyfile), "floor: [\n", []string{"platform.yaml:"}},
		{"strict SNI off", edited("strict_sni_host on", "strict_sni_host insecure_off"), raised, []string{"strict_sni_host", "write `strict_sni_host on`"}},
		{"a port that is taken", edited("https_port "+httpsPort, "https_port "+takenPort), raised, []string{"address already in use"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i.write(t, "etc/Caddyfile", c.caddyfile)
			i.write(t, "etc/platform.yaml", c.platform)
			said, code := i.reload(t)
			if code == 0 {
				t.Fatal("taken over")
			}
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("does not say %q: %s", want, said)
				}
			}
			// The raised floor would have answered 503.
			if res := i.status(t, north, "/", session); res.StatusCode != http.StatusOK || !strings.HasPrefix(res.text, "backend practice=north") {
				t.Errorf("the session of before: %s %.200s", res.Status, res.text)
			}
			if res := i.status(t, south, "/public/json", nil); res.StatusCode != http.StatusOK {
				t.Errorf("another practice: %s", res.Status)
			}
		})
	}
	i.write(t, "etc/Caddyfile", string(caddyfile))
	i.write(t, "etc/platform.yaml", platform)
	if said, code := i.reload(t); code != 0 {
		t.Errorf("the mended config is refused: %s", said)
	}
}

// TestRaisedFloorStopsThePracticeBelowIt: 503, for every page of that practice and for
// no other, until the practice or the floor is changed.
func TestRaisedFloorStopsThePracticeBelowIt(t *testing.T) {
	i := prepare(t)
	upstream := startBackend(t)
	i.practice(t, south, upstream, "session: {idle: 15m}")
	i.practice(t, north, upstream, "session: {idle: 45m}")
	i.start(t)
	i.trustInternal(t)
	at := map[string]*http.Cookie{north: i.signIn(t, north), south: i.signIn(t, south)}
	expect := func(when string, northStatus int) {
		t.Helper()
		for host, want := range map[string]int{north: northStatus, south: http.StatusOK} {
			for _, path := range []string{"/", "/public/json", "/.gate/account", "/.gate/session"} {
				res := i.status(t, host, path, at[host])
				if res.StatusCode != want {
					t.Errorf("%s: %s%s answers %s, want %d", when, host, path, res.Status, want)
				}
				other := map[string]string{north: "south", south: "north"}[host]
				if strings.Contains(res.text, "practice="+other) || want == http.StatusServiceUnavailable && strings.Contains(res.text, "backend") {
					t.Errorf("%s: %s%s shows %.200s", when, host, path, res.text)
				}
				if want == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
					t.Errorf("%s: %s%s does not say when to come back", when, host, path)
				}
			}
		}
	}
	floor := func(idle string) {
		t.Helper()
		i.write(t, "etc/platform.yaml", strings.Replace(shipped(t, "platform.yaml"), "idle: 1h", "idle: "+idle, 1))
		if said, code := i.reload(t); code != 0 {
			t.Fatal(said)
		}
	}
	expect("before", http.StatusOK)
	floor("30m")
	expect("floor raised", http.StatusServiceUnavailable)
	if got := fmt.Sprint(i.metric(t, "clinicgate_broken_practices")); got != "1" {
		t.Errorf("the alarm stands at %s practices, want 1", got)
	}
	floor("1h")
	expect("floor lowered", http.StatusOK)
}

// metric reads one figure from the admin socket.
func (i *install) metric(t *testing.T, name string) string {
	t.Helper()
	res, err := i.admin().Get("http://127.0.0.1/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
