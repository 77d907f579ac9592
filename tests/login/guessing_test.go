package login_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// lock fails at a person's password from several addresses until the account's budget
// is gone, spelling the address in another way each time (L2).
func lock(t *testing.T, practice string, who harness.Account) {
	t.Helper()
	spellings := []string{who.Email, strings.ToUpper(who.Email), " " + who.Email + " ", "\t" + strings.ToTitle(who.Email)}
	for try := range 12 {
		from := fmt.Sprintf("127.0.3.%d", 1+try)
		res := password(t, gate, practice, from, spellings[try%len(spellings)], "wrong-password-0000")
		if res.StatusCode == http.StatusTooManyRequests {
			if try > 6 {
				t.Errorf("%d guesses were taken for one account", try)
			}
			return
		}
	}
	t.Error("no limit, whatever the address and the spelling")
}

// L2: strangers who fail at an account do not lock its owner out of the browser that
// they have signed in from before.
func TestOwnerOnAKnownDeviceIsNotLockedOut(t *testing.T) {
	t.Parallel()
	who := probe.Add(t, gate, "acacia", "attacked", "clinician", false)
	res := password(t, gate, "acacia", "", who.Email, who.Password)
	device, set := probe.Cookie(res, probe.Device)
	if !set || device == "" {
		t.Fatalf("no device cookie after %s", res.Status)
	}
	lock(t, "acacia", who)
	if res := password(t, gate, "acacia", "127.0.3.20", who.Email, who.Password); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a stranger with the right password: %s, want 429", res.Status)
	}
	if res := password(t, gate, "acacia", "127.0.3.21", who.Email, who.Password, probe.Device+"="+device); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the owner on a known device: %s, want in", res.Status)
	}
	// Somebody else's known device is a stranger's.
	other := probe.Add(t, gate, "acacia", "colleague", "clinician", false)
	theirs, _ := probe.Cookie(password(t, gate, "acacia", "", other.Email, other.Password), probe.Device)
	if res := password(t, gate, "acacia", "127.0.3.22", who.Email, who.Password, probe.Device+"="+theirs); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a colleague's device: %s, want 429", res.Status)
	}
}

// F2: five guesses at the code, however often the password was right in between, and
// from wherever.
func TestCodeGuessesAreLimitedPerAccount(t *testing.T) {
	t.Parallel()
	who := probe.Add(t, gate, "harbour", "guessed", "clinician", true)
	taken := 0
	for try := range 10 {
		from := fmt.Sprintf("127.0.4.%d", 1+try)
		res := code(t, gate, "harbour", from, fmt.Sprintf("%06d", try), halfway(t, gate, "harbour", from, who))
		switch res.StatusCode {
		case http.StatusUnauthorized:
			taken++
		case http.StatusTooManyRequests:
			if res.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		default:
			t.Fatalf("guess %d: %s", try, res.Status)
		}
	}
	if taken > 5 || taken == 0 {
		t.Errorf("%d guesses were taken, want at most 5", taken)
	}
	b := gate.Browser(t, "h1")
	if res := code(t, gate, "harbour", "127.0.4.99", b.Code(who.TOTPSecret), halfway(t, gate, "harbour", "127.0.4.99", who)); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the right code while locked: %s, want 429: else guessing goes on", res.Status)
	}
}

// F1: one code signs in once, also when twenty ask at the same moment.
func TestCodeWorksOnce(t *testing.T) {
	t.Parallel()
	who := probe.Add(t, gate, "harbour", "replayed", "clinician", true)
	var flows []string
	for range 4 { // a person has at most five at once, the account four tries at once
		flows = append(flows, halfway(t, gate, "harbour", "", who))
	}
	right := gate.Browser(t, "h1").Code(who.TOTPSecret)
	var wait sync.WaitGroup
	sessions := make(chan string, 20)
	for i := range 20 {
		wait.Go(func() {
			res := code(t, gate, "harbour", "", right, flows[i%len(flows)])
			if session, _ := probe.Cookie(res, probe.Session); session != "" {
				sessions <- session
			}
		})
	}
	wait.Wait()
	if len(sessions) != 1 {
		t.Errorf("one code made %d sessions, want 1", len(sessions))
	}
	if res := code(t, gate, "harbour", "127.0.4.50", right, halfway(t, gate, "harbour", "127.0.4.50", who)); res.StatusCode == http.StatusSeeOther {
		t.Error("the code worked again")
	}
}
