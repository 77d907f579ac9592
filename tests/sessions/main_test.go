// Package sessions_test attacks sessions of the running binary from outside: cookies,
// rotation, endings, cross-site requests and outages (THREATS C and Z3).
package sessions_test

import (
	"net/http"
	"os"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// gate is the one demo that tests share. Each test makes its own people in it.
var gate *harness.Gateway

func TestMain(m *testing.M) { os.Exit(probe.Main(m, &gate)) }

// person signs a new person in at acacia, where a password is enough for now, and
// returns the session cookie's value.
func person(t *testing.T, name string) (p harness.Practice, b *harness.Browser, session string) {
	t.Helper()
	p = gate.Practice("acacia")
	b = probe.SignedIn(t, gate, "acacia", probe.Add(t, gate, "acacia", name, "clinician", false))
	return p, b, b.Cookie(p.URL, probe.Session)
}

// as asks for a page with exactly that Cookie header and returns the status.
func as(t *testing.T, p harness.Practice, path, cookies string) int {
	t.Helper()
	return probe.Send(t, probe.Client(t, gate, ""), api(p, path, cookies)).StatusCode
}

// api is a script's request.
func api(p harness.Practice, path, cookies string) *http.Request {
	req := probe.Page(p, path)
	req.Header.Set("Cookie", cookies)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	req.Header.Set("Accept", "application/json")
	return req
}
