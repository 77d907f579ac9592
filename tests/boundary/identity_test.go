package boundary_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// trusted are the values that the backend must see of harbour's admin, whatever the
// client says. "*" stands for any single value that is not the client's.
var trusted = map[string]string{
	"X-Practice-Id": "harbour", "X-User-Id": "*", "X-User-Email": "admin@harbour.test", "X-User-Name": "Admin",
	"X-User-Roles": "practice_admin", "X-Auth-Level": "aal2", "X-Auth-Methods": "pwd,otp,mfa", "X-Auth-Time": "*",
	"X-Session-Id": "*", "X-Request-Id": "*", "X-Gate-Assertion": "*",
}

// checkIdentity requires the trusted values, each exactly once, and no trace of the
// client's anywhere.
func checkIdentity(t *testing.T, echo rig.Echo) {
	t.Helper()
	for name, want := range trusted {
		got := echo.Headers[name]
		if len(got) != 1 || got[0] == "" || want != "*" && got[0] != want {
			t.Errorf("the backend saw %s %q, want exactly one %q", name, got, want)
		}
	}
	checkNoCanary(t, echo)
}

// checkNoCanary looks for the client's value under every name, and for identity names
// under every spelling that a backend might fold together.
func checkNoCanary(t *testing.T, echo rig.Echo) {
	t.Helper()
	folded := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(echo.Headers)) {
		for _, value := range append(echo.Headers[name], name) {
			if strings.Contains(strings.ToLower(value), rig.Canary) {
				t.Errorf("the backend saw the client's value in %s: %q", name, value)
			}
		}
		key := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(name))
		folded[key] = append(folded[key], name)
	}
	for _, names := range folded {
		if len(names) > 1 {
			t.Errorf("a backend that folds names would take %q for one", names)
		}
	}
	if len(echo.Trailers) > 0 {
		t.Errorf("the backend saw trailers %v", echo.Trailers)
	}
}

// TestHopByHopConnectionNamesIdentityHeader is THREATS H1: reverse_proxy removes what
// Connection names after every handler has run.
func TestHopByHopConnectionNamesIdentityHeader(t *testing.T) {
	lines := map[string][]rig.Field{
		"close and name":    {{"Connection", "close, X-Practice-Id"}},
		"lower case":        {{"connection", "close, x-practice-id, x-gate-assertion"}},
		"upper case":        {{"CONNECTION", "CLOSE, X-PRACTICE-ID"}},
		"split over lines":  {{"Connection", "close"}, {"Connection", "X-User-Id"}, {"Connection", "X-User-Roles, X-Auth-Level"}},
		"keep-alive":        {{"Connection", "keep-alive, X-Practice-Id"}},
		"tabs and blanks":   {{"Connection", " \t X-Practice-Id \t, ,,X-User-Email"}},
		"every name":        {{"Connection", strings.Join(slices.Sorted(maps.Keys(trusted)), ",")}},
		"forwarded":         {{"Connection", "close, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Via"}},
		"cookie and host":   {{"Connection", "close, Cookie, Host, Content-Length"}},
		"proxy-connection":  {{"Proxy-Connection", "X-Practice-Id"}, {"Keep-Alive", "X-Practice-Id"}},
		"quoted":            {{"Connection", `close, "X-Practice-Id", X-User-Id;q=1`}},
		"itself":            {{"Connection", "Connection, X-Practice-Id"}},
		"very many":         {{"Connection", "close" + strings.Repeat(", X-Practice-Id", 400)}},
		"with an own value": {{"Connection", "X-Practice-Id"}, {"X-Practice-Id", rig.Canary}},
	}
	for name, header := range lines {
		t.Run(name, func(t *testing.T) {
			checkIdentity(t, rig.Passes(t, gate, admin(t, "h1", header...)))
		})
		t.Run(name+", anonymous", func(t *testing.T) {
			rig.Refuses(t, gate, nobody("h1", "/api/echo", header...), 401)
		})
	}
	// HTTP/2 and 3 forbid connection-specific fields (RFC 9113 section 8.2.2).
	for _, header := range []rig.Field{{"Connection", "close, X-Practice-Id"}, {"Proxy-Connection", "X-Practice-Id"}, {"Keep-Alive", "X-Practice-Id"}, {"Transfer-Encoding", "chunked"}, {"Upgrade", "websocket"}} {
		t.Run("h2 "+header[0], func(t *testing.T) {
			answer := rig.Send(t, gate, admin(t, "h2", header))
			if answer.Status == 200 {
				checkIdentity(t, answer.Echo(t))
				return
			}
			answer.CheckRefusal(t, 0, 400)
		})
	}
}

// spellings of a name that a backend or a framework could take for it.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
		strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "~", 1),
		strings.ReplaceAll(name, "-", "+"), strings.Replace(name, "-", "'", 1), strings.ReplaceAll(name, "-", "|"),
		strings.Replace(name, "-", "*", 1), strings.Replace(name, "-", "!", 1), strings.Replace(name, "-", "#", 1),
		strings.Replace(name, "-", "$", 1), strings.Replace(name, "-", "%", 1), strings.Replace(name, "-", "&", 1),
		strings.Replace(name, "-", "^", 1), strings.Replace(name, "-", "`", 1), name + "_", "_" + name, name + "-", name + ".",
	}
}

// TestClientClaimsIdentity is THREATS H2 and H3: every identity header in every
// spelling, once, twice, empty and joined. The backend sees exactly our value.
func TestClientClaimsIdentity(t *testing.T) {
	names := append(slices.Sorted(maps.Keys(trusted)), "X-User-Purpose", "X-Practice-Anything", "X-Auth-Token", "X-Session-Anything", "X-Gate-Anything")
	for _, protocol := range protocols {
		for _, name := range names {
			t.Run(protocol+" "+name, func(t *testing.T) {
				var header []rig.Field
				for _, spelling := range spellings(name) {
					header = append(header, rig.Field{spelling, rig.Canary})
				}
				echo := rig.Passes(t, gate, admin(t, protocol, header...))
				checkIdentity(t, echo)
			})
		}
		for kind, values := range map[string][]string{
			"twice": {rig.Canary, rig.Canary + "2"}, "empty": {""}, "empty and full": {"", rig.Canary},
			"joined": {"harbour, " + rig.Canary}, "the right one and another": {"harbour", rig.Canary}, "long": {strings.Repeat(rig.Canary, 300)},
		} {
			t.Run(protocol+" "+kind, func(t *testing.T) {
				var header []rig.Field
				for _, name := range []string{"X-Practice-Id", "X-User-Roles", "X-Gate-Assertion"} {
					for _, value := range values {
						header = append(header, rig.Field{name, value})
					}
				}
				checkIdentity(t, rig.Passes(t, gate, admin(t, protocol, header...)))
			})
		}
	}
}

// TestAnonymousClaimsIdentity is THREATS H2 (CVE-2026-30851): who is nobody has no
// user headers, so a claimed one must be absent and not left standing.
func TestAnonymousClaimsIdentity(t *testing.T) {
	allowed := map[string]bool{"X-Practice-Id": true, "X-Gate-Assertion": true, "X-Request-Id": true}
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			g := withPublicEcho(t)
			var header []rig.Field
			for name := range trusted {
				for _, spelling := range spellings(name) {
					header = append(header, rig.Field{spelling, rig.Canary})
				}
			}
			header = append(header, rig.Field{"Connection-X", "x"})
			request := rig.Request{Protocol: protocol, Host: rig.Host(g, "acacia"), Header: header}
			echo := rig.Passes(t, g, request)
			checkNoCanary(t, echo)
			echo.Only(t, "X-Practice-Id", "acacia")
			for name := range trusted {
				if !allowed[name] && echo.Headers[name] != nil {
					t.Errorf("nobody is signed in, but the backend saw %s %q", name, echo.Headers[name])
				}
			}
		})
	}
}

// TestIdentityInTrailers is THREATS H4: a trailer reaches Caddy's backend as it is.
func TestIdentityInTrailers(t *testing.T) {
	for _, protocol := range protocols {
		for name, announced := range map[string]string{
			"silent": "", "announced": "X-Practice-Id, X-User-Roles, X-Gate-Assertion, Authorization, X_Practice_Id, Host, Cookie",
		} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				request := admin(t, protocol)
				request.Method, request.Body = "POST", "chart"
				if announced != "" {
					request.Header = append(request.Header, rig.Field{"Trailer", announced})
				}
				names := []string{"X-Practice-Id", "X-User-Roles", "X-Gate-Assertion", "X_Practice_Id", "X.Practice.Id", "X-Harmless", "Grpc-Status"}
				if protocol == "h1" && announced == "" {
					names = append(names, "Cookie", "Authorization", "Host", "x-practice-id", "X-PRACTICE-ID")
				}
				for _, trailer := range names {
					request.Trailer = append(request.Trailer, rig.Field{trailer, rig.Canary})
				}
				echo := rig.Passes(t, gate, request)
				checkIdentity(t, echo)
				if echo.BodyBytes != 5 {
					t.Errorf("the backend read %d bytes of body, want 5", echo.BodyBytes)
				}
			})
		}
	}
}
