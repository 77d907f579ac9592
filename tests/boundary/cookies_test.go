package boundary_test

import (
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// TestGatewayCookiesNeverReachTheBackend is THREATS H6: our cookies are for us, in
// every spelling that some backend would read as ours; the backend's own pass.
func TestGatewayCookiesNeverReachTheBackend(t *testing.T) {
	token := sessions.Of(t, gate, "harbour", "admin")
	for name, lines := range map[string][]string{
		"beside others":    {"a=1; __Host-gate=" + token + "; b=2"},
		"lines":            {"a=1", "__Host-gate=" + token, "b=2"},
		"flow and device":  {"a=1; __Host-gate-flow=" + rig.Canary + "; __Host-gate=" + token + "; __Host-gate-device=" + rig.Canary + "; b=2"},
		"no blanks":        {"a=1;__Host-gate=" + token + ";b=2"},
		"tabs":             {"a=1;\t__Host-gate=" + token + "\t;b=2"},
		"other case":       {"a=1; __host-GATE=" + rig.Canary + "; __Host-gate=" + token + "; b=2"},
		"quoted name":      {`a=1; "__Host-gate"=` + rig.Canary + "; __Host-gate=" + token + "; b=2"},
		"attributes":       {"$Version=1; a=1; __Host-gate=" + token + "; $Path=/" + rig.Canary + "; b=2"},
		"nameless":         {"a=1; =__Host-gate=" + rig.Canary + "; __Host-gate=" + token + "; b=2"},
		"longer name":      {"a=1; __Host-gateway=" + rig.Canary + "; __Host-gate=" + token + "; b=2"},
		"array":            {"a=1; __Host-gate[]=" + rig.Canary + "; __Host-gate=" + token + "; b=2"},
		"empty ones":       {"; ;; a=1;; __Host-gate=" + token + "; ; b=2;"},
		"Cookie2":          {"a=1; __Host-gate=" + token + "; b=2"},
		"open quote":       {`a=1; __Host-gate=` + token + `; b=2`},
		"blank after name": {"a=1; __Host-gate =" + rig.Canary + "; __Host-gate=" + token + "; b=2"},
	} {
		for _, protocol := range protocols {
			t.Run(protocol+" "+name, func(t *testing.T) {
				request := admin(t, protocol, rig.Field{"Cookie2", `$Version="1"; ` + rig.Canary})
				request.Cookie = ""
				for _, line := range lines {
					request.Header = append(request.Header, rig.Field{"Cookie", line})
				}
				echo := rig.Passes(t, gate, request)
				checkIdentity(t, echo)
				echo.Only(t, "Cookie", "a=1; b=2")
			})
		}
	}
}

// TestMalformedSessionCookieIsNobody is THREATS H7 (CVE-2026-25748) and C2: what is
// not exactly one good cookie is no session, and never "continue".
func TestMalformedSessionCookieIsNobody(t *testing.T) {
	token := sessions.Of(t, gate, "harbour", "admin")
	g := withPublicEcho(t)
	for name, cookie := range map[string]string{
		"truncated": "__Host-gate=" + token[:len(token)-1], "extended": "__Host-gate=" + token + "A", "empty": "__Host-gate=",
		"quoted": `__Host-gate="` + token + `"`, "encoded": "__Host-gate=%" + token, "padded": "__Host-gate=" + token + "=",
		"blank inside": "__Host-gate= " + token, "NUL": "__Host-gate=" + token + "%00", "twice": "__Host-gate=" + token + "; __Host-gate=" + token,
		"another first": "__Host-gate=x; __Host-gate=" + token, "another last": "__Host-gate=" + token + "; __Host-gate=x",
		"three": strings.Repeat("__Host-gate="+token+"; ", 3), "other case": "__host-gate=" + token, "swapped case": "__Host-gate=" + swapCase(token),
		"last bit flipped": "__Host-gate=" + token[:len(token)-1] + string(token[len(token)-1]^1), "as flow": "__Host-gate-flow=" + token, "as device": "__Host-gate-device=" + token,
		"without prefix": "gate=" + token, "Secure prefix": "__Secure-gate=" + token, "quoted name": `"__Host-gate"=` + token, "version": "$Version=1; $gate=" + token,
		"long": "__Host-gate=" + strings.Repeat("A", 4000), "JSON": `__Host-gate={"sub":"admin"}`, "traversal": "__Host-gate=../../admin", "comma": "a=1, __Host-gate=" + token,
	} {
		for _, protocol := range protocols {
			t.Run(protocol+" "+name, func(t *testing.T) {
				request := admin(t, protocol, rig.Field{"Cookie", cookie})
				request.Cookie = ""
				rig.Refuses(t, gate, request, 401)

				// On a public path of another practice it is served as nobody.
				request.Host = rig.Host(g, "acacia")
				echo := rig.Passes(t, g, request)
				for _, name := range []string{"X-User-Id", "X-User-Email", "X-User-Roles", "X-Session-Id", "X-Auth-Level"} {
					if got := echo.Headers[name]; got != nil {
						t.Errorf("the backend saw %s %q of nobody", name, got)
					}
				}
			})
		}
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r ^ 0x20
		}
		return r
	}, s)
}

// TestCookieFlood is THREATS C5: refused at once, with a status that says why.
func TestCookieFlood(t *testing.T) {
	for name, cookie := range map[string]string{
		"300 cookies": strings.Repeat("a=1; ", 300), "15 KiB": "a=" + strings.Repeat("x", 15<<10), "60 KiB": "a=" + strings.Repeat("x", 60<<10),
		"300 of ours": strings.Repeat("__Host-gate="+rig.Canary+"; ", 300), "semicolons": strings.Repeat(";", 8000),
	} {
		for _, protocol := range protocols {
			t.Run(protocol+" "+name, func(t *testing.T) {
				request := admin(t, protocol, rig.Field{"Cookie", cookie})
				rig.Refuses(t, gate, request, 431, 400, 0) // 0: HTTP/2 ends the connection beyond its own limit
			})
		}
	}
	t.Run("300 lines", func(t *testing.T) {
		var header []rig.Field
		for range 300 {
			header = append(header, rig.Field{"Cookie", "a=" + rig.Canary})
		}
		for _, protocol := range protocols {
			rig.Refuses(t, gate, admin(t, protocol, header...), 431, 400)
		}
	})
}
