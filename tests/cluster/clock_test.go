package cluster_test

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// The clock of one node is two minutes off: the node goes by the database's, and says so. Nobody is
// logged out, codes and assertions of the node are good, and what is revoked ends at both within the
// second.
func TestClockOfOneNodeIsOff(t *testing.T) {
	c := running(t)
	b, binary := c.nodes[1], gatewayWithClock(t)
	t.Cleanup(func() { b.stop(); b.start(t) })
	for _, offset := range []time.Duration{2 * time.Minute, -2 * time.Minute} {
		t.Run(offset.String(), func(t *testing.T) {
			b.stop()
			t.Setenv("CLINICGATE_TEST_CLOCK", offset.String())
			b.start(t, binary)
			l := work(t, c)
			ahead, err := strconv.ParseFloat(b.metric("clinicgate_clock_ahead_seconds"), 64)
			if err != nil || math.Abs(ahead-offset.Seconds()) > 1 {
				t.Errorf("B says that it is ahead by %v s, want %s", ahead, offset)
			}
			c.direct[1].Browser(t, "h1").SignIn(c.direct[1].Practice(east), c.person(t, east, "--totp"))
			for range 3 {
				l.endsWithin(within)
			}
			for i, g := range c.direct { // a session of either is good at both
				session := signedIn(t, g, north, c.reader)
				for range 3 {
					for _, at := range c.direct {
						if got := ask(t, at, north, "/api/echo", session); got != http.StatusOK {
							t.Errorf("a session of %s answers %d", c.nodes[i].name, got)
						}
					}
				}
			}
			if looked := c.guesses(t, c.person(t, north), 14); looked > 5 {
				t.Errorf("%d wrong passwords were looked at, want 5 at most", looked)
			}
			l.goesOn(wait)
			l.alive()
			l.finish()
			if l.requests.told+l.signIns.told > 0 {
				t.Error("people noticed")
			}
		})
	}
}

// gatewayWithClock builds the gateway with a clock that is off by $CLINICGATE_TEST_CLOCK: time is a
// parameter of all its parts, and this is the one place where the real clock is put in.
func gatewayWithClock(t testing.TB) string {
	t.Helper()
	dir := tempDir(t, "gateclock")
	source := filepath.Join(harness.Root(), "gateway", "core", "core.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	other := replaced(t, string(text), "c.Now = time.Now\n",
		`off, _ := time.ParseDuration(os.Getenv("CLINICGATE_TEST_CLOCK")); c.Now = func() time.Time { return time.Now().Add(off) }`+"\n")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "core.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"core.go": []byte(other), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "gateway")
	command := exec.Command("go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./gateway")
	command.Dir = harness.Root()
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}
