package sessions_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// C8: no page but the practice's own changes anything, at the gateway or behind it.
func TestCrossSiteRequestForgery(t *testing.T) {
	t.Parallel()
	p, b, session := person(t, "forged")
	sibling := gate.Practice("harbour").URL
	for _, row := range []struct{ name, origin, site string }{
		{"another site", "https://evil.example", "cross-site"},
		{"another site, old browser", "https://evil.example", ""},
		{"null origin", "null", "cross-site"},
		{"null origin, old browser", "null", ""},
		{"sibling practice", sibling, "same-site"},
		{"sibling practice, old browser", sibling, ""},
		{"site claimed without origin", "", "same-site"},
		{"own name, another port", "https://" + p.Host() + ":1", ""},
		{"own name without TLS, old browser", "http://" + p.Host(), ""},
		{"own name as a user", p.URL + "@evil.example", ""},
		{"own name as a prefix", p.URL + ".evil.example", ""},
	} {
		for _, path := range []string{"/.gate/login", "/.gate/login/totp", "/.gate/enrol/totp", "/.gate/logout", "/.gate/account/sessions/end", "/forged"} {
			req := probe.Form(p, path, url.Values{"all": {"others"}}, "__Host-gate="+session)
			req.Header.Del("Origin")
			req.Header.Del("Sec-Fetch-Site")
			if row.origin != "" {
				req.Header.Set("Origin", row.origin)
			}
			if row.site != "" {
				req.Header.Set("Sec-Fetch-Site", row.site)
			}
			res := probe.Send(t, probe.Client(t, gate, ""), req)
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s to %s: %s, want 403", row.name, path, res.Status)
			}
			if len(res.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s to %s changed cookies: %q", row.name, path, res.Header["Set-Cookie"])
			}
		}
	}
	if hits := gate.Hits(t, "/forged"); hits != 0 {
		t.Errorf("the backend got %d forged requests", hits)
	}
	if res := b.Fetch(http.MethodGet, p.URL+"/.gate/session", nil); res.StatusCode != http.StatusOK {
		t.Errorf("the session did not survive: %s", res.Status)
	}
	probe.Audited(t, gate, "acacia", "foreign_origin")
}

// A link or an image cannot sign anybody out.
func TestLogoutByLink(t *testing.T) {
	t.Parallel()
	p, b, _ := person(t, "linked")
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		req := b.Request(method, p.URL+"/.gate/logout", nil)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		if res := b.Do(req); len(res.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s changed cookies", method)
		}
	}
	if res := b.Fetch(http.MethodGet, p.URL+"/.gate/session", nil); res.StatusCode != http.StatusOK {
		t.Errorf("signed out by a link: %s", res.Status)
	}
}

// C9: what people and browsers send comes back as text.
func TestScriptInGatewayPages(t *testing.T) {
	t.Parallel()
	const script = `"><script>alert(1)</script>'`
	p, b, _ := person(t, "scripted")
	agent := probe.Client(t, gate, "")
	req := probe.Form(p, "/.gate/login", url.Values{"email": {"scripted@acacia.test"}, "password": {"quiet-harbour-lantern-4471"}})
	req.Header.Set("User-Agent", "Mozilla/5.0 "+script)
	probe.Send(t, agent, req)

	pages := map[string]*http.Request{
		"session list":    b.Request(http.MethodGet, p.URL+"/.gate/account", nil),
		"sign-in again":   probe.Form(p, "/.gate/login?rd="+url.QueryEscape("/"+script), url.Values{"email": {script}, "password": {"x"}, "rd": {script}}),
		"sign-in, nobody": probe.Page(p, "/.gate/login?rd="+url.QueryEscape("/x?"+script)),
		"signed-in page":  b.Request(http.MethodGet, p.URL+"/.gate/logout?rd="+url.QueryEscape("/"+script), nil),
		"enrolment":       b.Request(http.MethodGet, p.URL+"/.gate/enrol/totp?rd="+url.QueryEscape("/"+script), nil),
		"no such page":    probe.Page(p, "/.gate/"+url.PathEscape(script)),
		"denied":          b.Request(http.MethodGet, p.URL+"/billing/"+url.PathEscape(script), nil),
	}
	for name, req := range pages {
		var res harness.Answer
		if name == "sign-in, nobody" {
			res = probe.Send(t, agent, req)
		} else {
			res = b.Do(req)
		}
		if strings.Contains(res.Text, "<script") {
			t.Errorf("%s: a script came back", name)
		}
		csp := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s (%s): no %s in %q", name, res.Status, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: CSP %q, Cache-Control %q", name, csp, res.Header.Get("Cache-Control"))
		}
	}
}

// C11: only a person who looks at the address bar is redirected.
func TestOnlyNavigationsAreRedirected(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	for _, row := range []struct {
		name   string
		header map[string]string
		want   int
	}{
		{"address bar", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, http.StatusSeeOther},
		{"old browser", map[string]string{"Accept": "text/html,*/*"}, http.StatusSeeOther},
		{"fetch", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "text/html"}, http.StatusUnauthorized},
		{"frame", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Accept": "text/html"}, http.StatusUnauthorized},
		{"image", map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, http.StatusUnauthorized},
		{"XHR of an old library", map[string]string{"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"}, http.StatusUnauthorized},
		{"event stream", map[string]string{"Accept": "text/event-stream"}, http.StatusUnauthorized},
		{"program", map[string]string{"Accept": "*/*"}, http.StatusUnauthorized},
		{"WebSocket", map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Origin": p.URL,
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Accept": "text/html",
		}, http.StatusUnauthorized},
	} {
		req := probe.Page(p, "/ws")
		req.Header = http.Header{}
		for name, value := range row.header {
			req.Header.Set(name, value)
		}
		res := probe.Send(t, probe.Client(t, gate, ""), req)
		if res.StatusCode != row.want {
			t.Errorf("%s: %s, want %d", row.name, res.Status, row.want)
		}
		if row.want == http.StatusUnauthorized {
			if kind := res.Header.Get("Content-Type"); kind != "application/problem+json" || res.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s with challenge %q", row.name, kind, res.Header.Get("WWW-Authenticate"))
			}
			if where, _ := res.JSON(t)["login_url"].(string); !strings.HasPrefix(where, "/.gate/login?rd=") {
				t.Errorf("%s: login_url %q", row.name, where)
			}
		}
	}
}

// F4: a script in a page of the backend, which shares the gateway's origin, neither reads
// the key of a new app nor confirms one of its own.
func TestScriptOfABackendPageSetsUpNoFactor(t *testing.T) {
	t.Parallel()
	p, b, session := person(t, "scripted-factor")
	for _, dest := range []string{"empty", "iframe", "frame", "embed", "object", "image", "script", "worker", "serviceworker", "Document", "x"} {
		for _, req := range []*http.Request{
			probe.Page(p, "/.gate/enrol/totp", "__Host-gate="+session),
			probe.Form(p, "/.gate/enrol/totp", url.Values{"code": {"123456"}}, "__Host-gate="+session),
		} {
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			req.Header.Set("Sec-Fetch-Dest", dest)
			res := probe.Send(t, probe.Client(t, gate, ""), req)
			if res.StatusCode != http.StatusForbidden || strings.Contains(res.Text, "secret") {
				t.Errorf("%s as %s: %s\n%.200s", req.Method, dest, res.Status, res.Text)
			}
		}
	}
	if res := b.Get(p.URL + "/.gate/enrol/totp"); res.StatusCode != http.StatusOK || res.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("a window: %s, opener policy %q", res.Status, res.Header.Get("Cross-Origin-Opener-Policy"))
	}
	probe.Audited(t, gate, "acacia", "not_a_window")
}
