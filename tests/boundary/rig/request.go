// Package rig is what attack tests need beyond the harness: a client that says over
// HTTP/1.1, 2 and 3 what no library would say, a backend that answers with any
// bytes, and a gateway with a Caddyfile of the test's own.
package rig

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// HSTS is the one value of DESIGN's promise, on every answer.
const HSTS = "max-age=31536000; includeSubDomains"

// wait bounds every exchange: a gateway that does not answer fails the test.
const wait = 20 * time.Second

// Field is the name and the value of one header or trailer line, to the letter.
type Field [2]string

// Request is what a client says. The zero value of a field is what a browser sends.
type Request struct {
	Protocol string // h1, h2 or h3; empty: h1
	SNI      string // TLS server name; empty: Host without its port
	Method   string // empty: GET
	Target   string // empty: /api/echo
	Host     string // Host or :authority
	Cookie   string // value of __Host-gate; empty: none
	Header   []Field
	Body     string
	Trailer  []Field // over HTTP/1.1 they make the body chunked
	// Pseudo replaces all pseudo header fields of HTTP/2.
	Pseudo []Field
}

// Answer is what came back.
type Answer struct {
	Status  int // 0 when the stream or the connection was ended instead
	Header  http.Header
	Text    string
	Trailer http.Header
	Interim []Interim
	Closed  bool // HTTP/1.1: the gateway will take no other request on the connection
}

// Interim is a 1xx answer.
type Interim struct {
	Status int
	Header http.Header
}

func (r Request) withDefaults() Request {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Target == "" {
		r.Target = "/api/echo"
	}
	if r.SNI == "" {
		r.SNI, _, _ = strings.Cut(r.Host, ":")
	}
	fields := []Field{}
	if r.Cookie != "" {
		fields = append(fields, Field{"Cookie", "__Host-gate=" + r.Cookie})
	}
	r.Header = append(fields, r.Header...)
	return r
}

// Send sends a request on a connection of its own.
func Send(t testing.TB, g *harness.Gateway, r Request) Answer {
	t.Helper()
	r = r.withDefaults()
	switch r.Protocol {
	case "", "h1":
		return sendH1(t, g, r)
	case "h2":
		return sendH2(t, g, r)
	case "h3":
		return sendH3(t, g, r)
	}
	t.Fatalf("no protocol %q", r.Protocol)
	return Answer{}
}

// Echo is what the demo's backend saw.
type Echo struct {
	Method, Path, Host string
	Headers, Trailers  map[string][]string
	BodyBytes          int64 `json:"body_bytes"`
}

// Echo reads the answer of /api/echo.
func (a Answer) Echo(t testing.TB) Echo {
	t.Helper()
	var e Echo
	if err := json.Unmarshal([]byte(a.Text), &e); a.Status != http.StatusOK || err != nil {
		t.Fatalf("status %d, want the backend's echo: %.300q", a.Status, a.Text)
	}
	return e
}

// Only requires that the backend saw a header exactly once and with this value.
func (e Echo) Only(t testing.TB, name, want string) {
	t.Helper()
	if got := e.Headers[name]; len(got) != 1 || got[0] != want {
		t.Errorf("the backend saw %s %q, want exactly one %q", name, got, want)
	}
}

// Passes sends a request that must reach the backend, exactly once.
func Passes(t testing.TB, g *harness.Gateway, r Request) Echo {
	t.Helper()
	before := g.Hits(t, "")
	answer := Send(t, g, r)
	answer.CheckHSTS(t)
	echo := answer.Echo(t)
	if got := g.Hits(t, "") - before; got != 1 {
		t.Errorf("the backend was asked %d times, want once", got)
	}
	return echo
}

// Refuses sends a request that must not reach the backend and must be answered with
// one of the statuses. Status 0 stands for an ended stream or connection.
func Refuses(t testing.TB, g *harness.Gateway, r Request, statuses ...int) Answer {
	t.Helper()
	before := g.Hits(t, "")
	answer := Send(t, g, r)
	answer.CheckRefusal(t, statuses...)
	if got := g.Hits(t, "") - before; got != 0 {
		t.Errorf("%s %.80q reached the backend %d times", r.Method, r.Target, got)
	}
	return answer
}

// Canary is a word for payloads: no refusal may show it.
const Canary = "red-canary"

// CheckRefusal looks at status, HSTS and text of a refusal.
func (a Answer) CheckRefusal(t testing.TB, statuses ...int) {
	t.Helper()
	found := false
	for _, status := range statuses {
		found = found || status == a.Status
	}
	if !found {
		t.Errorf("status %d, want one of %v: %.200q", a.Status, statuses, a.Text)
	}
	if strings.Contains(a.Text, Canary) {
		t.Errorf("the refusal repeats the payload: %.300q", a.Text)
	}
	a.CheckHSTS(t)
}

// CheckHSTS requires exactly one HSTS value, ours. What the libraries of HTTP/2 and 3
// answer to header lists that are none carries none: no handler has seen it, and no
// browser sends it.
func (a Answer) CheckHSTS(t testing.TB) {
	t.Helper()
	if a.Status == 0 || a.fromLibrary() {
		return
	}
	if got := a.Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != HSTS {
		t.Errorf("status %d carries HSTS %q, want exactly %q", a.Status, got, HSTS)
	}
}

// fromLibrary reports an answer of the HTTP/2 or HTTP/3 library itself: no handler has
// put its Server header there.
func (a Answer) fromLibrary() bool {
	if a.Header["Server"] != nil || a.Closed {
		return false
	}
	tooLarge := a.Status == http.StatusRequestHeaderFieldsTooLarge && (a.Text == "" || strings.HasPrefix(a.Text, "<h1>HTTP Error 431</h1>"))
	notInH2 := strings.HasPrefix(a.Text, "request header ") && strings.HasSuffix(a.Text, "in HTTP/2\n")
	return tooLarge || notInH2
}
