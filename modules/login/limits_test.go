package login_test

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/demo"
	"clinicgate/modules/exchange"
	"clinicgate/modules/login"
	"clinicgate/modules/practice"
	"clinicgate/policy"
)

// page reads an answer.
func (g *gate) page(res *http.Response) string {
	g.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.Fatal(err)
	}
	return string(body)
}

// told is how long an answer asks to wait; 0 when it does not.
func told(res *http.Response) time.Duration {
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second
}

// THREATS L2, L4, F2: after five failures the wait that is told doubles up to a quarter
// of an hour. Whoever comes a second early waits on, whoever waits as told is heard, and
// the right answer ends it.
func TestWaitIsToldGrowsAndEnds(t *testing.T) {
	const harbour = policy.PracticeID("harbour")
	g := newGate(t, time.Minute)
	who := g.who(harbour, "admin")
	for name, c := range map[string]struct {
		first time.Duration
		try   func(right bool) *http.Response
	}{
		"password": {2 * time.Second, func(right bool) *http.Response {
			if right {
				return g.password(harbour, who, who.Password)
			}
			return g.password(harbour, who, "not-the-password-1234")
		}},
		"code": {30 * time.Second, func(right bool) *http.Response {
			code := g.code(who.TOTPSecret)
			if !right {
				code = other(code)
			}
			return g.form(harbour, "/.gate/login/totp", g.halfway(harbour, who), url.Values{"code": {code}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for try := range 5 {
				if res := c.try(false); res.StatusCode != http.StatusUnauthorized {
					t.Fatalf("try %d: %d, want 401", try+1, res.StatusCode)
				}
			}
			for want := c.first; want < 15*time.Minute; want *= 2 {
				if res := c.try(true); res.StatusCode != http.StatusTooManyRequests || told(res) != want {
					t.Fatalf("after a failure: %d, wait %s, want 429, %s: the right answer too, else guessing goes on", res.StatusCode, told(res), want)
				}
				g.pass(want - time.Second)
				if res := c.try(true); res.StatusCode != http.StatusTooManyRequests || told(res) != time.Second {
					t.Fatalf("a second early: %d, wait %s, want 429, 1s", res.StatusCode, told(res))
				}
				g.pass(time.Second)
				if res := c.try(false); res.StatusCode != http.StatusUnauthorized {
					t.Fatalf("after %s: %d, want 401", want, res.StatusCode)
				}
			}
			g.pass(15 * time.Minute) // the longest wait of all
			if res := c.try(true); res.StatusCode != http.StatusSeeOther {
				t.Fatalf("the right one after the wait: %d, want in", res.StatusCode)
			}
		})
	}
	if res := g.password(harbour, who, "not-the-password-1234"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a failure after a success: %d, want 401: what was before is forgotten", res.StatusCode)
	}
}

// THREATS F2: guesses at a code are one budget, whether they finish a sign-in or confirm
// who is signed in, and a password that is right in between buys none.
func TestCodeGuessesAreOneBudgetOnEveryPage(t *testing.T) {
	const harbour = policy.PracticeID("harbour")
	g := newGate(t, time.Minute)
	who := g.who(harbour, "admin")
	guess := func(cookies exchange.Cookies, path string) int {
		return g.form(harbour, path, cookies, url.Values{"code": {other(g.code(who.TOTPSecret))}}).StatusCode
	}
	res := g.form(harbour, "/.gate/login/totp", g.halfway(harbour, who), url.Values{"code": {g.code(who.TOTPSecret)}})
	signedIn := exchange.Cookies{Session: cookie(res, practice.SessionCookie)}
	if signedIn.Session == "" {
		t.Fatalf("sign-in: %d", res.StatusCode)
	}
	for try, next := range []func() int{
		func() int { return guess(g.halfway(harbour, who), "/.gate/login/totp") },
		func() int { return guess(signedIn, "/.gate/login/totp") },
		func() int { return guess(g.halfway(harbour, who), "/.gate/login/totp") },
		func() int { return guess(signedIn, "/.gate/enrol/totp") }, // replacing the app: fresh from the sign-in
		func() int { return guess(signedIn, "/.gate/login/totp") },
	} {
		if got := next(); got != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d, want 401", try+1, got)
		}
	}
	for name, next := range map[string]func() int{
		"sign-in":          func() int { return guess(g.halfway(harbour, who), "/.gate/login/totp") },
		"step-up":          func() int { return guess(signedIn, "/.gate/login/totp") },
		"replacing an app": func() int { return guess(signedIn, "/.gate/enrol/totp") },
	} {
		if got := next(); got != http.StatusTooManyRequests {
			t.Errorf("%s: %d, want 429", name, got)
		}
	}
}

// Whatever the form is answered with, what was typed stands in it again: the address,
// never the password.
func TestFormKeepsTheAddressAndNeverThePassword(t *testing.T) {
	const acacia = policy.PracticeID("acacia")
	g := newGate(t, time.Minute)
	who := demo.Account{Email: "somebody@acacia.test"}
	const password = "typed-by-mistake-4471"
	check := func(name string, res *http.Response, status int) {
		t.Helper()
		html := g.page(res)
		if res.StatusCode != status || !strings.Contains(html, `value="`+who.Email+`"`) || strings.Contains(html, password) {
			t.Errorf("%s: %d, want %d with the address and without the password\n%s", name, res.StatusCode, status, html)
		}
		if wait := told(res); (wait > 0) != (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) {
			t.Errorf("%s: Retry-After %s", name, wait)
		}
	}
	for range 5 {
		check("wrong", g.password(acacia, who, password), http.StatusUnauthorized)
	}
	check("too many", g.password(acacia, who, password), http.StatusTooManyRequests)
	check("no password", g.password(acacia, who, ""), http.StatusUnprocessableEntity)

	// A failure of ours is nobody's guess, however often it is met.
	who.Email = "another@acacia.test"
	if err := g.core.DB.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		check("outage", g.password(acacia, who, password), http.StatusServiceUnavailable)
	}
}

// THREATS L5: a crowd that is turned away at one moment does not come back at one.
func TestCrowdIsAskedToComeBackAtDifferentTimes(t *testing.T) {
	told := map[time.Duration]int{}
	for range 1000 {
		after := login.RetryBusy()
		if told[after]++; after < 2*time.Second || after > 9*time.Second || after%time.Second != 0 {
			t.Fatalf("people are asked to wait %v", after)
		}
	}
	for after, n := range told {
		if n > 250 {
			t.Errorf("%d of 1000 are asked to wait %v, want about 125", n, after)
		}
	}
}
