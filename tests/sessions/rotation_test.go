package sessions_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// enrolledAt makes somebody with an authenticator app, signed in.
func enrolledAt(t *testing.T, practice, name string) (harness.Practice, harness.Account, *harness.Browser) {
	t.Helper()
	who := probe.Add(t, gate, practice, name, "clinician", true)
	return gate.Practice(practice), who, probe.SignedIn(t, gate, practice, who)
}

// C3, C6: a step-up gives a new id. The old one lives on for the requests that were
// under way, and then is dead for good.
func TestStepUpChangesTheIDAndTheOldOneDies(t *testing.T) {
	t.Parallel()
	p, who, b := enrolledAt(t, "harbour", "rotating")
	old := b.Cookie(p.URL, probe.Session)

	start := make(chan struct{})
	statuses := make(chan int, 50)
	var requests sync.WaitGroup
	client := probe.Client(t, gate, "")
	for range cap(statuses) {
		requests.Go(func() {
			<-start
			res, err := client.Do(api(p, "/api/echo", "__Host-gate="+old))
			if err != nil {
				statuses <- 0
				return
			}
			res.Body.Close()
			statuses <- res.StatusCode
		})
	}
	close(start)
	res := b.Post(p.URL+"/.gate/login/totp?rd=/", url.Values{"code": {b.Code(who.TOTPSecret)}})
	requests.Wait()
	close(statuses)
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("step-up: %s\n%.300s", res.Status, res.Text)
	}
	for status := range statuses {
		if status != http.StatusOK {
			t.Errorf("a request during the rotation got %d", status)
		}
	}
	next := b.Cookie(p.URL, probe.Session)
	if next == old {
		t.Fatal("the id did not change")
	}
	dead := func() bool { return as(t, p, "/api/echo", "__Host-gate="+old) == http.StatusUnauthorized }
	probe.Eventually(t, 20*time.Second, "the replaced id is dead", dead)
	if res := b.Fetch(http.MethodGet, p.URL+"/api/echo", nil); res.StatusCode != http.StatusOK {
		t.Errorf("the new id: %s", res.Status)
	}
	if !dead() {
		t.Error("the replaced id came back to life")
	}
}

// C3: signing in makes a new id, whatever the browser brought along, and on a shared
// workstation nothing of the person before is left.
func TestSecondPersonSignsInOverTheFirst(t *testing.T) {
	t.Parallel()
	p, b, first := person(t, "early-shift")
	streams := probe.Streams(t, gate, p, first)
	b.SignIn(p, probe.Add(t, gate, "acacia", "late-shift", "reception", false))
	if b.Cookie(p.URL, probe.Session) == first {
		t.Fatal("the session id stayed")
	}
	for _, s := range streams {
		s.CutWithin(t, time.Second)
	}
	if status := as(t, p, "/api/echo", "__Host-gate="+first); status != http.StatusUnauthorized {
		t.Errorf("the first person's session still answers %d", status)
	}
	for _, r := range probe.Audit(t, gate, "acacia") {
		if r.Action == "signed_in" && r.Detail["replaced_session"] != "" {
			return
		}
	}
	t.Error("the audit log does not say that a session was replaced")
}

// A session id that an attacker planted before the sign-in is not the one after it.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	who := probe.Add(t, gate, "acacia", "fixated", "clinician", false)
	planted := "s1." + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	req := probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}},
		"__Host-gate="+planted, "__Host-gate-flow=f1."+planted[3:])
	res := probe.Send(t, probe.Client(t, gate, ""), req)
	if got, set := probe.Cookie(res, probe.Session); !set || got == planted || got == "" {
		t.Errorf("session cookie %q after %s", got, res.Status)
	}
	if status := as(t, p, "/api/echo", "__Host-gate="+planted); status != http.StatusUnauthorized {
		t.Errorf("the planted id answers %d", status)
	}
}
