package tenants_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// T3: somebody works at two practices with the same address and password. What they
// hold of one opens nothing at the other.
func TestArtefactsOfOnePracticeAtAnother(t *testing.T) {
	t.Parallel()
	const email = "locum@agency.test"
	a, b := gate.Practice("harbour"), gate.Practice("acacia")
	atA, atB := probe.Add(t, gate, "harbour", email, "clinician", true), probe.Add(t, gate, "acacia", email, "clinician", true)
	codeOf := func(who harness.Account) string { return gate.Browser(t, "h1").Code(who.TOTPSecret) }
	code := func(p harness.Practice, code string, cookies ...string) harness.Answer {
		return probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/login/totp", url.Values{"code": {code}}, cookies...))
	}
	noSession := func(t *testing.T, res harness.Answer) {
		t.Helper()
		if session, _ := probe.Cookie(res, probe.Session); session != "" {
			t.Errorf("it signed in: %s to %q", res.Status, where(res))
		}
	}
	flowA := named(t, signIn(t, gate, a, atA), probe.Flow)
	flowB := named(t, signIn(t, gate, b, atB), probe.Flow)

	t.Run("flow cookie", func(t *testing.T) {
		res := code(b, codeOf(atB), flowA)
		noSession(t, res)
		if !strings.HasPrefix(where(res), "/.gate/login") {
			t.Errorf("%s to %q", res.Status, where(res))
		}
	})
	t.Run("TOTP code", func(t *testing.T) {
		res := code(b, codeOf(atA), flowB)
		noSession(t, res)
		if res.StatusCode != unauthorized {
			t.Errorf("%s, want 401", res.Status)
		}
		probe.Audited(t, gate, "acacia", "code_refused")
	})
	done := code(a, codeOf(atA), flowA)
	session, device := named(t, done, probe.Session), named(t, done, probe.Device)
	t.Run("session cookie", func(t *testing.T) {
		if res := script(t, gate, a, "/api/echo", session); res.StatusCode != http.StatusOK {
			t.Fatalf("at home: %s", res.Status)
		}
		before := gate.Hits(t, "/matrix")
		for _, path := range []string{"/matrix", "/.gate/session", "/.gate/account"} {
			if res := script(t, gate, b, path, session); res.StatusCode != unauthorized {
				t.Errorf("%s: %s, want 401", path, res.Status)
			}
		}
		if gate.Hits(t, "/matrix") != before {
			t.Error("the backend was reached")
		}
		probe.Audited(t, gate, "acacia", "sign_in_required")
		if res := script(t, gate, b, "/booking/", session); strings.Contains(res.Text, email) {
			t.Error("on a public page the other practice's person is known")
		}
		res := probe.Send(t, probe.Client(t, gate, ""), probe.Form(b, "/.gate/logout", nil, session))
		if res := script(t, gate, a, "/api/echo", session); res.StatusCode != http.StatusOK {
			t.Errorf("a logout next door ended it: %s", res.Status)
		}
		noSession(t, res)
	})
	t.Run("step-up", func(t *testing.T) { noSession(t, code(b, codeOf(atB), session)) })
	t.Run("device cookie", func(t *testing.T) {
		for range 12 {
			wrong := harness.Account{Email: email, Password: "wrong-password-0000"}
			if signIn(t, gate, b, wrong).StatusCode == http.StatusTooManyRequests {
				break
			}
		}
		if res := signIn(t, gate, b, atB, device); res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("a device that is known next door: %s, want 429", res.Status)
		}
		if res := signIn(t, gate, a, atA); res.StatusCode != http.StatusSeeOther {
			t.Errorf("failures at one practice lock the other: %s", res.Status)
		}
	})
	t.Run("origin", func(t *testing.T) {
		req := probe.Form(a, "/.gate/account/sessions/end", url.Values{"all": {"others"}}, session)
		req.Header.Set("Origin", b.URL)
		req.Header.Set("Sec-Fetch-Site", "same-site")
		if res := probe.Send(t, probe.Client(t, gate, ""), req); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s, want 403", res.Status)
		}
		probe.Audited(t, gate, "harbour", "foreign_origin")
	})
	t.Run("public ids", func(t *testing.T) { publicIDs(t, a, session) })
}

// publicIDs are known to colleagues and backends; at another practice they name nothing.
func publicIDs(t *testing.T, home harness.Practice, session string) {
	who := script(t, gate, home, "/.gate/session", session).JSON(t)
	id, _ := who["session_id"].(string)
	user, _ := who["user"].(map[string]any)["id"].(string)
	for _, args := range [][]string{
		{"session", "revoke", id, "--practice", "acacia"},
		{"session", "revoke", "--user", user, "--practice", "acacia"},
		{"user", "disable", user, "--practice", "acacia"},
		{"user", "roles", user, "--role", "practice_admin", "--practice", "acacia"},
	} {
		if _, _, exit := gate.Run(t, args...); exit != 1 {
			t.Errorf("gateway %s: exit %d, want 1", strings.Join(args, " "), exit)
		}
	}
	if res := script(t, gate, home, "/api/echo", session); res.StatusCode != http.StatusOK {
		t.Errorf("it was ended all the same: %s", res.Status)
	}
}

// T3: a key that is waiting at one practice is not confirmed at another.
func TestEnrolmentOfOnePracticeAtAnother(t *testing.T) {
	t.Parallel()
	const email = "new-locum@agency.test"
	a, b := gate.Practice("harbour"), gate.Practice("acacia")
	flow := named(t, signIn(t, gate, a, probe.Add(t, gate, "harbour", email, "clinician", false)), probe.Flow)
	session := named(t, signIn(t, gate, b, probe.Add(t, gate, "acacia", email, "clinician", false)), probe.Session)
	page := func(p harness.Practice, cookie string) harness.Answer {
		return probe.Send(t, probe.Client(t, gate, ""), probe.Page(p, "/.gate/enrol/totp", cookie))
	}
	confirm := func(p harness.Practice, key, cookie string) harness.Answer {
		code := gate.Browser(t, "h1").Code(key)
		return probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/enrol/totp", url.Values{"code": {code}}, cookie))
	}
	keyA, keyB := keyOn(t, page(a, flow)), keyOn(t, page(b, session))
	if keyA == keyB {
		t.Fatal("one key for two practices")
	}
	if res := page(b, flow); strings.Contains(res.Text, "secret=") {
		t.Error("the flow of one practice shows a key at another")
	}
	if res := confirm(b, keyA, session); res.StatusCode != unauthorized {
		t.Errorf("the other practice's key: %s, want 401", res.Status)
	}
	if res := confirm(b, keyB, session); res.StatusCode != http.StatusSeeOther {
		t.Errorf("one's own: %s", res.Status)
	}
	if res := confirm(a, keyB, flow); res.StatusCode != unauthorized {
		t.Errorf("the other practice's confirmed key: %s, want 401", res.Status)
	}
}
