package sessions_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/probe"
)

// C1: what the prefix demands, no script, and no cookie that a stolen disk gives away.
func TestCookiesAreHostBoundHiddenFromScriptsAndStoredHashed(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	who := probe.Add(t, gate, "acacia", "cookie-owner", "clinician", true)
	b := gate.Browser(t, "h1")
	password := b.Post(p.URL+"/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}})
	code := b.Post(p.URL+"/.gate/login/totp", url.Values{"code": {b.Code(who.TOTPSecret)}})
	lines := append(password.Header["Set-Cookie"], code.Header["Set-Cookie"]...)
	values := map[string]string{}
	for _, line := range lines {
		pair, attributes, _ := strings.Cut(line, "; ")
		name, value, _ := strings.Cut(pair, "=")
		if len(pair) >= 200 {
			t.Errorf("%s is %d bytes, want less than 200", name, len(pair))
		}
		for _, want := range []string{"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
			if !strings.Contains("; "+attributes+";", "; "+want+";") {
				t.Errorf("%s: no %s in %q", name, want, attributes)
			}
		}
		if strings.Contains(strings.ToLower(attributes), "domain") || !strings.HasPrefix(name, "__Host-gate") {
			t.Errorf("%s is not bound to the host: %q", name, attributes)
		}
		if value != "" {
			values[name] = value
		}
	}
	for name, least := range map[string]int{probe.Session: 43, probe.Flow: 43, probe.Device: 22} {
		if len(values[name]) < least {
			t.Errorf("%s = %q: want %d random characters", name, values[name], least)
		}
	}
	for name, value := range values {
		if file := holding(t, gate.State, value); file != "" {
			t.Errorf("%s stands in plain text in %s", name, file)
		}
	}
}

// holding is the file below dir that contains the text, "" for none.
func holding(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // a file that the running gateway has just removed
		}
		if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte(text)) {
			found = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// C2: whatever else is tossed in beside it, the attacker's session is never taken.
func TestTossedCookieNeverWins(t *testing.T) {
	t.Parallel()
	p, _, victim := person(t, "tossed-victim")
	_, _, attacker := person(t, "tosser")
	victimIs, attackerIs := "tossed-victim@acacia.test", "tosser@acacia.test"
	for _, row := range []struct {
		name   string
		lines  []string
		signed bool // the victim stays signed in; false: nobody is
	}{
		{"twice, attacker last", []string{"__Host-gate=" + victim + "; __Host-gate=" + attacker}, false},
		{"twice, attacker first", []string{"__Host-gate=" + attacker + "; __Host-gate=" + victim}, false},
		{"two lines", []string{"__Host-gate=" + attacker, "__Host-gate=" + victim}, false},
		{"twice the same", []string{"__Host-gate=" + victim + "; __Host-gate=" + victim}, false},
		{"empty twin", []string{"__Host-gate=; __Host-gate=" + attacker}, false},
		{"another case", []string{"__host-gate=" + attacker + "; __Host-gate=" + victim}, true},
		{"without prefix", []string{"gate=" + attacker + "; __Host-gate=" + victim}, true},
		{"$Version", []string{"$Version=1; __Host-gate=" + victim + "; $Path=/"}, true},
		{"$Version alone", []string{"$Version=1; $__Host-gate=" + attacker}, false},
		{"quoted", []string{`__Host-gate="` + attacker + `"`}, false},
		{"blank in the name", []string{"__Host-gate =" + attacker}, false},
		{"no-break space", []string{"\u00a0__Host-gate=" + attacker}, false},
		{"comma", []string{"a=b, __Host-gate=" + attacker}, false},
		{"the flow's place", []string{"__Host-gate-flow=" + attacker}, false},
		{"cut short", []string{"__Host-gate=" + attacker[:len(attacker)-1]}, false},
		{"one more", []string{"__Host-gate=" + attacker + "A"}, false},
	} {
		req := api(p, "/api/echo", "")
		req.Header["Cookie"] = row.lines
		res := probe.Send(t, probe.Client(t, gate, ""), req)
		switch {
		case strings.Contains(res.Text, attackerIs):
			t.Errorf("%s: served as the attacker", row.name)
		case row.signed && (res.StatusCode != http.StatusOK || !strings.Contains(res.Text, victimIs)):
			t.Errorf("%s: %s, want the victim's own session", row.name, res.Status)
		case !row.signed && res.StatusCode != http.StatusUnauthorized:
			t.Errorf("%s: %s, want 401", row.name, res.Status)
		case strings.Contains(res.Text, victim), row.name != "without prefix" && strings.Contains(res.Text, attacker):
			t.Errorf("%s: the backend saw a session cookie", row.name)
		}
	}
}

// C5: a browser that somebody filled with cookies is told at once.
func TestCookieFloodIsRefusedFast(t *testing.T) {
	t.Parallel()
	p, _, session := person(t, "flooded")
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, "; c%d=1", i)
	}
	before := gate.Hits(t, "/flooded")
	for name, cookies := range map[string]string{
		"300 cookies": "__Host-gate=" + session + many.String(),
		"15 KiB":      "__Host-gate=" + session + "; big=" + strings.Repeat("x", 15<<10),
	} {
		began := time.Now()
		status := as(t, p, "/flooded", cookies)
		if status != http.StatusRequestHeaderFieldsTooLarge && status != http.StatusBadRequest {
			t.Errorf("%s: %d, want 431 or 400", name, status)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: refused after %s", name, took)
		}
	}
	if got := gate.Hits(t, "/flooded"); got != before {
		t.Errorf("the backend saw %d of them", got-before)
	}
	if status := as(t, p, "/flooded", "__Host-gate="+session); status == http.StatusUnauthorized {
		t.Error("the flood ended the session")
	}
}
