// Package frontdoor_test tries the whole way of a request against the running binary.
package frontdoor_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"clinicgate/tests/harness"
)

// gate is the one demo that tests share which neither stop it nor use up budgets.
var gate *harness.Gateway

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	state, err := os.MkdirTemp("", "frontdoor-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(state)
	if gate, err = harness.Launch(state); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer gate.Stop()
	return m.Run()
}

func TestPersonWithAppSignsInAndReachesTheBackend(t *testing.T) {
	for _, protocol := range []string{"h1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			p := gate.Practice("harbour")
			b := gate.Browser(t, protocol)

			res := b.Get(p.URL + "/patients?q=smith")
			if got, want := res.Header.Get("Location"), "/.gate/login?rd=%2Fpatients%3Fq%3Dsmith"; res.StatusCode != http.StatusSeeOther || got != want {
				t.Fatalf("without a session: %s to %q, want 303 to %q", res.Status, got, want)
			}
			b.SignIn(p, p.Account("admin"))
			res = b.Fetch(http.MethodGet, p.URL+"/api/echo", nil)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("signed in: %s\n%s", res.Status, res.Text)
			}
			headers := res.JSON(t)["headers"].(map[string]any)
			for name, want := range map[string]string{
				"X-Practice-Id": "harbour", "X-User-Email": "admin@harbour.test", "X-User-Roles": "practice_admin",
				"X-Auth-Level": "aal2", "X-Auth-Methods": "pwd,otp,mfa",
			} {
				if got := fmt.Sprint(headers[name]); got != "["+want+"]" {
					t.Errorf("%s = %s, want exactly one %q", name, got, want)
				}
			}
		})
	}
}

func TestForcedEnrolmentLeadsIn(t *testing.T) {
	g := harness.Start(t)
	p := g.Practice("harbour")
	b := g.Browser(t, "h2")
	who := p.Account("clinician")
	res := b.Post(p.URL+"/.gate/login?rd=/billing/", url.Values{"email": {who.Email}, "password": {who.Password}})
	if res.Header.Get("Location") != "/.gate/enrol/totp" {
		t.Fatalf("after the password: %s to %q", res.Status, res.Header.Get("Location"))
	}
	page := b.Get(p.URL + "/.gate/enrol/totp")
	again := b.Get(p.URL + "/.gate/enrol/totp")
	secret := keyOn(t, page.Text)
	if keyOn(t, again.Text) != secret {
		t.Error("a reload showed another key: the code just scanned would not work")
	}
	res = b.Post(p.URL+"/.gate/enrol/totp", url.Values{"code": {b.Code(secret)}})
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/billing/" {
		t.Fatalf("after the first code: %s to %q\n%.300s", res.Status, res.Header.Get("Location"), res.Text)
	}
	if res := b.Get(p.URL + "/billing/"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a clinician on /billing/: %s, want 403", res.Status)
	}
	if res := b.Get(p.URL + "/"); res.StatusCode != http.StatusOK {
		t.Errorf("a clinician on /: %s, want 200", res.Status)
	}
}

// keyOn finds the key on the enrolment page, in the address that opens the app.
func keyOn(t *testing.T, html string) string {
	t.Helper()
	_, rest, found := strings.Cut(html, "secret=")
	if !found {
		t.Fatalf("no key on the page: %.400s", html)
	}
	return rest[:strings.IndexAny(rest, "&\"")]
}
