package cluster_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// within is how soon every node knows of a change.
const within = time.Second

// Who signs in at one node is signed in at both; what ends ends at both; the policy is that of both.
func TestTwoNodesAreOneGateway(t *testing.T) {
	c := running(t)
	who := c.person(t, north)
	session := signedIn(t, c.direct[0], north, who)
	if got := ask(t, c.direct[1], north, "/api/echo", session); got != http.StatusOK {
		t.Fatalf("a session of A answers %d at B", got)
	}
	if got := ask(t, c.direct[1], north, "/billing/", session); got != http.StatusForbidden {
		t.Errorf("what the role does not allow answers %d at B", got)
	}

	streams := probe.Streams(t, c.direct[1], c.direct[1].Practice(north), session)
	res := probe.Send(t, probe.Client(t, c.direct[0], ""), probe.Form(c.direct[0].Practice(north), "/.gate/logout", nil, probe.Session+"="+session))
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("signing out at A: %s", res.Status)
	}
	began := time.Now()
	becomes(t, within, c.direct[1], north, "/api/echo", session, http.StatusUnauthorized)
	for _, s := range streams {
		s.CutWithin(t, within-time.Since(began))
	}

	session = signedIn(t, c.direct[0], north, who)
	if got := ask(t, c.direct[1], north, "/api/echo", session); got != http.StatusOK {
		t.Fatalf("a new session of A answers %d at B", got)
	}
	c.command(t, "", "session", "revoke", "--practice", north, "--user", who.Email)
	for _, g := range c.direct {
		becomes(t, within, g, north, "/api/echo", session, http.StatusUnauthorized)
	}
	c.verified(t)
}

// A policy that forbids a page forbids it at every node within the second.
func TestNewPolicyActsOnBothNodes(t *testing.T) {
	c := running(t)
	session := signedIn(t, c.direct[0], north, c.person(t, north))
	before := c.command(t, "", "practice", "export", north)
	t.Cleanup(func() { c.command(t, before, "practice", "apply", "-f", "-") })
	for _, g := range c.direct {
		if got := ask(t, g, north, "/api/echo", session); got != http.StatusOK {
			t.Fatalf("before: %d", got)
		}
	}
	c.command(t, strings.Replace(before, "access:", "access:\n  - {path: /api/*, roles: [billing]}", 1), "practice", "apply", "-f", "-")
	for _, g := range c.direct {
		becomes(t, within, g, north, "/api/echo", session, http.StatusForbidden)
	}
}

// One code signs in once, at whichever node it was used first.
func TestCodeOfOneNodeIsUsedUpAtTheOther(t *testing.T) {
	c := running(t)
	who := c.person(t, east, "--totp")
	code := c.direct[0].Browser(t, "h1").Code(who.TOTPSecret)
	var statuses []string
	for _, g := range c.direct {
		b, p := g.Browser(t, "h1"), g.Practice(east)
		if res := b.Post(p.URL+"/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("password: %s", res.Status)
		}
		b.Post(p.URL+"/.gate/login/totp", url.Values{"code": {code}})
		statuses = append(statuses, b.Cookie(p.URL, probe.Session))
	}
	if statuses[0] == "" {
		t.Error("the code did not sign in at A")
	}
	if statuses[1] != "" {
		t.Error("the code of A signed in at B")
	}
}

// A sign-in that was begun at one node is finished at the other.
func TestSignInGoesOnAtTheOtherNode(t *testing.T) {
	c := running(t)
	who := c.person(t, east, "--totp")
	p := c.direct[0].Practice(east)
	first := probe.Send(t, probe.Client(t, c.direct[0], ""), probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}))
	flow, found := probe.Cookie(first, probe.Flow)
	if !found {
		t.Fatalf("password: %s", first.Status)
	}
	code := c.direct[0].Browser(t, "h1").Code(who.TOTPSecret)
	second := probe.Send(t, probe.Client(t, c.direct[1], ""), probe.Form(p, "/.gate/login/totp", url.Values{"code": {code}}, probe.Flow+"="+flow))
	session, found := probe.Cookie(second, probe.Session)
	if !found {
		t.Fatalf("code at B: %s\n%.300s", second.Status, second.Text)
	}
	for _, g := range c.direct {
		if got := ask(t, g, east, "/api/echo", session); got != http.StatusOK {
			t.Errorf("the session answers %d", got)
		}
	}
}

// Wrong passwords for one account are counted over both nodes, and the client's address is what the
// balancer says it is.
func TestGuessesAreCountedOverBothNodes(t *testing.T) {
	c := running(t)
	who := c.person(t, north)
	if got := c.guesses(t, who, 8); got != 5 {
		t.Errorf("%d wrong passwords were looked at, want 5", got)
	}
	records := c.command(t, "", "audit", "export", "--practice", north, "--format", "jsonl", "--since", "1m")
	if !strings.Contains(records, `"127.0.9.7"`) {
		t.Errorf("the client's address is not in the log:\n%s", tail(records, 600))
	}
}

// guesses sends wrong passwords to both nodes by turns and returns how many were looked at.
func (c *cluster) guesses(t testing.TB, who harness.Account, n int) (looked int) {
	t.Helper()
	client := probe.Client(t, c.balanced, "127.0.9.7")
	client.Transport.(*http.Transport).DisableKeepAlives = true // the balancer's next node each time
	for range n {
		res := probe.Send(t, client, probe.Form(c.balanced.Practice(north), "/.gate/login", url.Values{"email": {who.Email}, "password": {"a wrong one"}}))
		switch res.StatusCode {
		case http.StatusTooManyRequests:
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusOK:
			looked++
		default:
			t.Errorf("a wrong password: %s", res.Status)
		}
	}
	return looked
}
