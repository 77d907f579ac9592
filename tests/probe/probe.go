// Package probe is what the attack suites share beside the harness: people made for
// one test, the admin socket, the audit log as a reviewer exports it, and clients from
// many addresses.
package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// The gateway's cookies.
const (
	Session = "__Host-gate"
	Flow    = "__Host-gate-flow"
	Device  = "__Host-gate-device"
)

// Main runs a package's tests around one shared demo.
func Main(m *testing.M, gate **harness.Gateway) int {
	state, err := os.MkdirTemp("", "clinicgate-test-")
	if err == nil {
		defer os.RemoveAll(state)
		*gate, err = harness.Launch(state)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer (*gate).Stop()
	return m.Run()
}

// Must runs a subcommand that has to succeed.
func Must(t testing.TB, g *harness.Gateway, args ...string) string {
	t.Helper()
	return MustWith(t, g, "", args...)
}

// MustWith is Must with something on standard input.
func MustWith(t testing.TB, g *harness.Gateway, stdin string, args ...string) string {
	t.Helper()
	out, errs, code := harness.Run(t, stdin, append(args, "--state", g.State)...)
	if code != 0 {
		t.Fatalf("gateway %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// password satisfies every rule and is nobody's by accident.
const password = "quiet-harbour-lantern-4471"

// Add makes somebody at a practice, with an authenticator app if enrolled says so.
// name is an e-mail address or the part before the @.
func Add(t testing.TB, g *harness.Gateway, practice, name, role string, enrolled bool) harness.Account {
	t.Helper()
	email := name
	if !strings.Contains(email, "@") {
		email += "@" + practice + ".test"
	}
	args := []string{
		"user", "add", "--practice", practice, "--email", email, "--name", "Test Person",
		"--role", role, "--password-file", "-", "--json",
	}
	if enrolled {
		args = append(args, "--totp")
	}
	var added struct {
		Email string `json:"email"`
		TOTP  string `json:"totp_secret"`
	}
	if err := json.Unmarshal([]byte(MustWith(t, g, password, args...)), &added); err != nil || added.Email == "" {
		t.Fatalf("adding %s: %v", name, err)
	}
	return harness.Account{Email: added.Email, Password: password, TOTPSecret: added.TOTP, Roles: []string{role}}
}

// SignedIn is a browser in which that person is signed in.
func SignedIn(t testing.TB, g *harness.Gateway, practice string, who harness.Account) *harness.Browser {
	t.Helper()
	b := g.Browser(t, "h1")
	b.SignIn(g.Practice(practice), who)
	return b
}

// Open makes a practice like acacia, where a password is enough for now, on a host of
// its own, before the same backend.
func Open(t testing.TB, g *harness.Gateway, id, host string) harness.Practice {
	t.Helper()
	document := fmt.Sprintf("practice: %s\nname: Test Practice\nhosts: [%s]\nregion: au\ntimezone: Australia/Perth\nupstreams: [%s]\n"+
		"sign_in:\n  methods: [password]\n  second_factor: {stage: grace, accept: [totp], grace_until: 2030-06-30T17:00:00+08:00}\n",
		id, host, strings.TrimPrefix(g.Backend, "http://"))
	MustWith(t, g, document, "practice", "apply", "-f", "-")
	_, port, err := net.SplitHostPort(g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p := harness.Practice{ID: id, URL: "https://" + host + ":" + port}
	client := Client(t, g, "")
	Eventually(t, 10*time.Second, id+" is served", func() bool {
		res, err := client.Do(Page(p, "/.gate/login"))
		if err != nil {
			return false // no certificate yet
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

// Cookie is the value that an answer sets for a cookie; set is false when it does not
// name it.
func Cookie(res harness.Answer, name string) (value string, set bool) {
	for _, c := range res.Cookies() {
		if c.Name == name {
			value, set = c.Value, true
		}
	}
	return value, set
}

// Client sends requests to the gateway from a loopback address of choice, so that a
// crowd does not share one address's budget. It has no cookies of its own.
func Client(t testing.TB, g *harness.Gateway, from string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	transport := &http.Transport{
		TLSClientConfig: g.TLS(""), MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", g.Addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Form is a form as a page of the same host sends it.
func Form(p harness.Practice, path string, form url.Values, cookies ...string) *http.Request {
	req, err := http.NewRequest(http.MethodPost, p.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", p.URL)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	if len(cookies) > 0 {
		req.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	return req
}

// Page is a page as the address bar asks for it.
func Page(p harness.Practice, path string, cookies ...string) *http.Request {
	req := Form(p, path, nil, cookies...)
	req.Method, req.Body, req.ContentLength = http.MethodGet, http.NoBody, 0
	req.Header.Del("Content-Type")
	req.Header.Del("Origin")
	return req
}

// Send sends a request and reads the answer.
func Send(t testing.TB, c *http.Client, req *http.Request) harness.Answer {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Fatalf("reading %s: %v", req.URL.Path, err)
	}
	return harness.Answer{Response: res, Text: string(body)}
}

// Record is one line of an exported audit log.
type Record struct {
	Seq     int64             `json:"seq"`
	Class   string            `json:"class"`
	Action  string            `json:"action"`
	Actor   string            `json:"actor"`
	Subject string            `json:"subject"`
	Request string            `json:"request"`
	Detail  map[string]string `json:"detail"`
}

// Audit is a practice's log as a reviewer exports it.
func Audit(t testing.TB, g *harness.Gateway, practice string) []Record {
	t.Helper()
	var records []Record
	lines := bufio.NewScanner(strings.NewReader(Must(t, g, "audit", "export", "--practice", practice, "--format", "jsonl")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("audit line %.200q: %v", lines.Text(), err)
		}
		records = append(records, r)
	}
	return records
}

// Audited waits until the log holds a record of that action: refusals are written a
// moment after they are answered.
func Audited(t testing.TB, g *harness.Gateway, practice, action string) Record {
	t.Helper()
	var found Record
	Eventually(t, 5*time.Second, "an audit record "+action+" at "+practice, func() bool {
		for _, r := range Audit(t, g, practice) {
			if r.Action == action {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// Eventually asks until the answer is yes; it fails after the time.
func Eventually(t testing.TB, within time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// Admin asks the admin socket.
func Admin(t testing.TB, g *harness.Gateway, method, path, body string) (status int, text string) {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.State, "admin.sock"))
		},
	}}
	req, err := http.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cache-Control", "must-revalidate") // load the same config all the same
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("admin %s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading admin %s: %v", path, err)
	}
	return res.StatusCode, string(read)
}

// Reload makes the gateway load its own config again.
func Reload(t testing.TB, g *harness.Gateway) {
	t.Helper()
	_, config := Admin(t, g, http.MethodGet, "/config/", "")
	if status, text := Admin(t, g, http.MethodPost, "/load", config); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, text)
	}
}

// Metric is the value of one series, 0 when it is not there.
func Metric(t testing.TB, g *harness.Gateway, series string) float64 {
	t.Helper()
	_, text := Admin(t, g, http.MethodGet, "/metrics", "")
	for line := range strings.SplitSeq(text, "\n") {
		if value, found := strings.CutPrefix(line, series+" "); found {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatalf("metric %s: %v", line, err)
			}
			return v
		}
	}
	return 0
}

// Goroutines is how many the gateway runs now.
func Goroutines(t testing.TB, g *harness.Gateway) int {
	t.Helper()
	_, text := Admin(t, g, http.MethodGet, "/debug/pprof/goroutine?debug=1", "")
	var n int
	if _, err := fmt.Sscanf(text, "goroutine profile: total %d", &n); err != nil {
		t.Fatalf("reading the goroutine profile: %v", err)
	}
	return n
}
