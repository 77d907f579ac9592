package sessions_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// clinic is a practice of a test's own, with somebody signed in.
type clinic struct {
	harness.Practice
	t       *testing.T
	session string
}

// open makes a practice and signs somebody in.
func open(t *testing.T, id string) *clinic {
	t.Helper()
	c := &clinic{t: t, Practice: probe.Open(t, gate, id, id+".localhost")}
	who := probe.Add(t, gate, id, "somebody", "clinician", false)
	b := gate.Browser(t, "h1")
	b.SignIn(c.Practice, who)
	c.session = b.Cookie(c.URL, probe.Session)
	return c
}

// apply changes the practice's document, as an operator does.
func (c *clinic) apply(upstream, lines string) {
	c.t.Helper()
	probe.MustWith(c.t, gate, fmt.Sprintf("practice: %[1]s\nname: Changed Practice\nhosts: [%[1]s.localhost]\nregion: au\ntimezone: Australia/Perth\nupstreams: [%s]\n"+
		"sign_in:\n  methods: [password]\n  second_factor: {stage: grace, accept: [totp], grace_until: 2030-06-30T17:00:00+08:00}\n%s",
		c.ID, upstream, lines), "practice", "apply", "-f", "-")
}

func demoBackend() string { return strings.TrimPrefix(gate.Backend, "http://") }

// Z3: what is open answers to the policy that is in force, and not to the one that it
// was opened under. What the new one allows as well goes on: a change must not make
// every screen of a clinic connect anew. Another practice notices nothing.
func TestNewPolicyEndsWhatItForbids(t *testing.T) {
	t.Parallel()
	neighbour := open(t, "policy-neighbour")
	others := probe.Streams(t, gate, neighbour.Practice, neighbour.session)
	for _, row := range []struct {
		name, lines string
		ends        map[string]bool // by probe.Stream.Kind; nil: all
	}{
		{"name", "", map[string]bool{}},
		{"role", "access: [{path: /events, roles: [billing]}]\n", map[string]bool{"event stream": true}},
		{"network", "network: {allow: [198.51.100.0/24]}\n", nil},
		{"step-up", "step_up: [{path: /ws, level: aal2}]\n", map[string]bool{"websocket": true}},
		{"roles", "roles: [practice_admin, billing]\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := open(t, "policy-"+row.name)
			streams := probe.Streams(t, gate, c.Practice, c.session)
			for _, s := range streams {
				s.Alive(t)
			}
			c.apply(demoBackend(), row.lines)
			for _, s := range streams {
				if row.ends == nil || row.ends[s.Kind] {
					s.CutWithin(t, soon)
				}
			}
			for _, s := range streams {
				if row.ends != nil && !row.ends[s.Kind] {
					s.Alive(t)
				}
			}
		})
	}
	for _, s := range others {
		s.Alive(t)
	}
}

// slow is a backend that takes its time with everything, however small it is.
func slow(t *testing.T) (addr string, arrived chan string) {
	t.Helper()
	arrived = make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ready") {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/poll") {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "ch")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- r.URL.Path
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), arrived
}

// Z3: the small ones too. A long poll that waits for its first byte, one that has
// begun, and a form whose sender goes to sleep are over when the session is, or when
// the practice is not served any more.
func TestSlowSmallExchangesEnd(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, path string
		public     bool
		end        func(c *clinic) []string
	}{
		{"revoked", "/x", false, func(c *clinic) []string { return []string{"session", "revoke", "--all", "--practice", c.ID} }},
		{"disabled", "/x", false, func(c *clinic) []string {
			return []string{"user", "disable", "somebody@" + c.ID + ".test", "--practice", c.ID}
		}},
		{"suspended", "/x", false, func(c *clinic) []string { return []string{"practice", "suspend", c.ID} }},
		{"suspended-public", "/public", true, func(c *clinic) []string { return []string{"practice", "suspend", c.ID} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := open(t, "slow-"+row.name)
			upstream, arrived := slow(t)
			c.apply(upstream, "access: [{path: /public/*, public: true}]\n")
			cookie := "Cookie: " + probe.Session + "=" + c.session + "\r\n"
			if row.public {
				cookie = ""
			}
			head := " HTTP/1.1\r\nHost: " + c.URL[len("https://"):] + "\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n" + cookie
			client := probe.Client(t, gate, "")
			probe.Eventually(t, soon, "the new backend", func() bool {
				return probe.Send(t, client, probe.Page(c.Practice, row.path+"/ready", probe.Session+"="+c.session)).StatusCode == http.StatusNoContent
			})
			waiting := map[string]*bufio.Reader{}
			for name, text := range map[string]string{
				"long poll":           "GET " + row.path + "/wait" + head + "\r\n",
				"long poll that came": "GET " + row.path + "/poll" + head + "\r\n",
				"form":                "POST " + row.path + "/form" + head + "Origin: " + c.URL + "\r\nContent-Length: 100\r\n\r\nchart",
			} {
				conn := gate.Dial(t, c.Host(), "http/1.1")
				if _, err := io.WriteString(conn, text); err != nil {
					t.Fatal(err)
				}
				probe.Arrived(t, arrived)
				waiting[name] = bufio.NewReader(conn)
			}
			probe.Must(t, gate, row.end(c)...)
			for name, in := range waiting {
				probe.Ends(t, name, in, soon)
			}
		})
	}
}
