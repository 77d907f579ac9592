// Package tenants_test tries everything that one practice's people hold at another
// practice of the running binary (THREATS T).
package tenants_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// gate is the one demo that tests share. Each test makes its own people in it.
var gate *harness.Gateway

func TestMain(m *testing.M) { os.Exit(probe.Main(m, &gate)) }

// signIn sends the password form.
func signIn(t *testing.T, g *harness.Gateway, p harness.Practice, who harness.Account, cookies ...string) harness.Answer {
	t.Helper()
	return probe.Send(t, probe.Client(t, g, ""), probe.Form(p, "/.gate/login",
		url.Values{"email": {who.Email}, "password": {who.Password}}, cookies...))
}

// script asks for a path as a page's script does.
func script(t *testing.T, g *harness.Gateway, p harness.Practice, path string, cookies ...string) harness.Answer {
	t.Helper()
	req := probe.Page(p, path, cookies...)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	return probe.Send(t, probe.Client(t, g, ""), req)
}

// named is name=value of a cookie that an answer set.
func named(t *testing.T, res harness.Answer, name string) string {
	t.Helper()
	value, _ := probe.Cookie(res, name)
	if value == "" {
		t.Fatalf("%s sets no %s", res.Status, name)
	}
	return name + "=" + value
}

func where(res harness.Answer) string { return res.Header.Get("Location") }

// keyOn finds the key on the enrolment page.
func keyOn(t *testing.T, res harness.Answer) string {
	t.Helper()
	_, rest, found := strings.Cut(res.Text, "secret=")
	if !found {
		t.Fatalf("no key on the page: %s to %q", res.Status, where(res))
	}
	return rest[:strings.IndexAny(rest, "&\"")]
}

// unauthorized is what nobody gets.
const unauthorized = http.StatusUnauthorized
