package login_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// told is everything of an answer that a stranger can compare.
type told struct {
	Status int
	Header http.Header
	Body   string
}

var (
	seconds   = regexp.MustCompile(`\d+ (seconds?|minutes?)`)
	reference = regexp.MustCompile(`(<span>[0-9a-f]{4}</span>)+`)
)

// tell leaves out what differs between any two answers: the clock, the reference, and
// what the stranger typed.
func tell(res harness.Answer, email string) told {
	h := res.Header.Clone()
	h.Del("Date")
	h.Del("Content-Length") // of the address as typed; the rest of the body is compared
	if h.Get("Retry-After") != "" {
		h.Set("Retry-After", "some")
	}
	body := strings.ReplaceAll(res.Text, email, "EMAIL")
	body = reference.ReplaceAllString(seconds.ReplaceAllString(body, "SOME TIME"), "REFERENCE")
	return told{res.StatusCode, h, body}
}

// L1: nobody learns from a refusal who works here.
func TestRefusedSignInsLookAlike(t *testing.T) {
	t.Parallel()
	known := probe.Add(t, gate, "harbour", "known", "clinician", true)
	patient := probe.Add(t, gate, "harbour", "patient", "clinician", false)
	disabled := probe.Add(t, gate, "harbour", "disabled", "clinician", false)
	probe.Must(t, gate, "user", "disable", disabled.Email, "--practice", "harbour")
	single := probe.Add(t, gate, "harbour", "single-sign-on", "clinician", false)
	alter(t, gate.State, "harbour", `DELETE FROM password WHERE person = (SELECT id FROM person WHERE email = ?)`, single.Email)
	elsewhere := probe.Add(t, gate, "acacia", "elsewhere", "clinician", false)
	roleless := probe.Add(t, gate, "harbour", "roleless", "clinician", false)
	alter(t, gate.State, "harbour", `UPDATE person_role SET role = 'of-yesterday' WHERE person = (SELECT id FROM person WHERE email = ?)`, roleless.Email)

	var want told
	for _, row := range []struct{ name, email, password string }{
		{"unknown user", "nobody@harbour.test", known.Password},
		{"wrong password", known.Email, "not-the-password-1234"},
		{"disabled, right password", disabled.Email, disabled.Password},
		{"SSO-only", single.Email, single.Password},
		{"another practice's user", elsewhere.Email, elsewhere.Password},
		{"no role of the practice", roleless.Email, roleless.Password},
		{"no address at all", "not an address", known.Password},
		{"very long password", patient.Email, strings.Repeat("p", 5000)},
	} {
		// The first try is the one that is compared; the others only measure.
		var times []time.Duration
		for try := range 4 {
			began := time.Now()
			res := password(t, gate, "harbour", "127.0.2.1", row.email, row.password)
			times = append(times, time.Since(began))
			got := tell(res, row.email)
			if want.Status == 0 {
				want = got
				if got.Status != http.StatusUnauthorized {
					t.Fatalf("%s: %d, want 401\n%.300s", row.name, got.Status, got.Body)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" && try == 0 {
				t.Errorf("%s differs from an unknown user (-unknown +got):\n%s", row.name, diff)
			}
		}
		slices.Sort(times)
		t.Logf("%-26s median %s of %d", row.name, times[len(times)/2].Round(time.Millisecond), len(times))
	}
}

// L1, L4: also a closed door looks the same whether anybody lives behind it.
func TestLockedAccountsLookAlike(t *testing.T) {
	t.Parallel()
	known := probe.Add(t, gate, "harbour", "locked", "clinician", false)
	var answers []told
	for _, row := range []struct{ email, from string }{{known.Email, "127.0.2.2"}, {"nobody-either@harbour.test", "127.0.2.3"}} {
		var last harness.Answer
		for range 12 { // five, and then those that come sooner than the wait
			if last = password(t, gate, "harbour", row.from, row.email, "not-the-password-1234"); last.StatusCode == http.StatusTooManyRequests {
				break
			}
		}
		if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
			t.Fatalf("%s after many failures: %s, Retry-After %q, want 429 with one", row.email, last.Status, last.Header.Get("Retry-After"))
		}
		answers = append(answers, tell(last, row.email))
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("somebody and nobody, locked (-somebody +nobody):\n%s", diff)
	}
}
