// Package returns_test attacks every address that the gateway sends a browser back to
// (THREATS R): it stays on the practice's host or becomes "/".
package returns_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

var gate *harness.Gateway

func TestMain(m *testing.M) { os.Exit(probe.Main(m, &gate)) }

// away are addresses that lead, or that some browser takes to lead, to another host or
// to no page at all.
func away() []string {
	sibling := gate.Practice("harbour").URL
	return []string{
		"//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/%09/evil.example",
		"/%0a/evil.example", "/\n/evil.example", "/\r/evil.example", " //evil.example", "/ /evil.example", "\u00a0//evil.example",
		"https:evil.example", "https:/evil.example", "https://evil.example", "http://acacia.localhost@evil.example", "HTTPS://EVIL.example/",
		sibling + "/patients", strings.TrimPrefix(sibling, "https:") + "/patients", "https://acacia.localhost.evil.example/",
		"javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "blob:x", "mailto:x@evil.example",
		"/.//evil.example", "/..//evil.example", "/%2e%2e//evil.example", "/%2F/evil.example", "/%5cevil.example", "/%2f%2fevil.example",
		"/;//evil.example", "/x\r\nSet-Cookie:%20a=b", "/x%0d%0aSet-Cookie:%20a=b", "/x\x00", "/x%00", "evil.example", "?x", "#x", "/x#//evil.example",
		"/\u2215evil.example", "/\uff0f/evil.example", "\uff0f\uff0fevil.example", "/" + strings.Repeat("a", 3000),
		"/x?\r\nSet-Cookie: a=b", "/x?a#//evil.example", "/x?\\evil.example", "/x?\u2028evil",
		"/.gate/login", "/.gate/logout", "/.GATE/logout", "/.gate/login?rd=//evil.example",
	}
}

// stays fails unless a redirect goes to exactly "/" or another page of ours.
func stays(t *testing.T, res harness.Answer, step, rd string) {
	t.Helper()
	location := res.Header.Get("Location")
	u, err := url.Parse(location)
	if res.StatusCode != http.StatusSeeOther || err != nil || u.Scheme != "" || u.Host != "" || u.User != nil ||
		!strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") || strings.ContainsAny(location, "\\\t\r\n") ||
		strings.Contains(location, "evil") || location != "/" && !strings.HasPrefix(location, "/.gate/") {
		t.Errorf("%s with rd=%.60q: %s to %.80q", step, rd, res.Status, location)
	}
	if strings.Contains(res.Text, "evil.example") {
		t.Errorf("%s with rd=%.60q: the address stands in the page", step, rd)
	}
}

// From the sign-in form to the page at its end, by the form's field and by the address.
func TestReturnAddressNeverLeavesThePractice(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	who := probe.Add(t, gate, "acacia", "returning", "clinician", false)
	client := probe.Client(t, gate, "")
	for i, rd := range away() {
		page := probe.Send(t, client, probe.Page(p, "/.gate/login?rd="+url.QueryEscape(rd)))
		if strings.Contains(page.Text, `name="rd" value="`) && !strings.Contains(page.Text, `name="rd" value="/"`) {
			t.Errorf("the sign-in page carries rd=%.60q on", rd)
		}
		form := url.Values{"email": {who.Email}, "password": {who.Password}}
		path := "/.gate/login?rd=" + url.QueryEscape(rd)
		if i%2 == 0 {
			path, form["rd"] = "/.gate/login", []string{rd}
		}
		stays(t, probe.Send(t, client, probe.Form(p, path, form)), "sign-in", rd)
	}
	if res := probe.Send(t, client, probe.Form(p, "/.gate/login", url.Values{
		"email": {who.Email}, "password": {who.Password}, "rd": {"/a", "//evil.example"},
	})); strings.Contains(res.Header.Get("Location"), "evil") {
		t.Errorf("rd twice leads to %q", res.Header.Get("Location"))
	}
}

// The pages for somebody who is signed in already, and logout.
func TestReturnAddressOfTheOtherPages(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	session := probe.Session + "=" + probe.SignedIn(t, gate, "acacia", probe.Add(t, gate, "acacia", "inside", "clinician", true)).Cookie(p.URL, probe.Session)
	client := probe.Client(t, gate, "")
	for _, rd := range away() {
		query := "?rd=" + url.QueryEscape(rd)
		stays(t, probe.Send(t, client, probe.Page(p, "/.gate/login"+query, session)), "sign-in page, signed in", rd)
		stays(t, probe.Send(t, client, probe.Page(p, "/.gate/login/totp"+query)), "code page, nobody", rd)
		stays(t, probe.Send(t, client, probe.Page(p, "/.gate/login/totp"+query, session)), "code page, signed in", rd)
		stays(t, probe.Send(t, client, probe.Form(p, "/.gate/logout"+query, url.Values{"rd": {rd}})), "logout", rd)
		page := probe.Send(t, client, probe.Page(p, "/.gate/logout"+query, session))
		for _, step := range []string{"/.gate/logout", "/.gate/enrol/totp"} {
			page = probe.Send(t, client, probe.Page(p, step+query, session))
			if strings.Contains(page.Text, "evil.example") {
				t.Errorf("%s carries rd=%.60q on", step, rd)
			}
		}
		if page.StatusCode >= 500 {
			t.Errorf("rd=%.60q: %s", rd, page.Status)
		}
	}
}

// What a backend's page is asked for comes back to the letter, and no Referer or
// forwarded name moves it to another host.
func TestReturnAddressIsTheOneThatWasAsked(t *testing.T) {
	t.Parallel()
	p := gate.Practice("harbour")
	client := probe.Client(t, gate, "")
	for asked, want := range map[string]string{
		"/patients/17?tab=notes&q=a%26b": "/patients/17?tab=notes&q=a%26b",
		"/caf%C3%A9?x=%2F%2Fevil":        "/caf%C3%A9?x=%2F%2Fevil",
		"/":                              "/",
	} {
		req := probe.Page(p, asked)
		req.Header.Set("X-Forwarded-Host", "evil.example")
		req.Header.Set("X-Forwarded-Proto", "http")
		res := probe.Send(t, client, req)
		if got := res.Header.Get("Location"); got != "/.gate/login?rd="+url.QueryEscape(want) {
			t.Errorf("%s: to %q", asked, got)
		}
	}
	for _, referer := range []string{
		"https://evil.example/x", "//evil.example/x", p.URL + ".evil.example/x", "https://" + p.Host() + "@evil.example/x", "javascript:x", p.URL + "//evil.example", "%zz",
	} {
		form := probe.Form(p, "/prescriptions/1", url.Values{"medicine": {"x"}})
		form.Header.Set("Referer", referer)
		res := probe.Send(t, client, form)
		first := res.Header.Get("Location")
		if !strings.HasPrefix(first, "/.gate/login?rd=") || res.StatusCode != http.StatusSeeOther {
			t.Errorf("Referer %q: %s to %q", referer, res.Status, first)
			continue
		}
		page := probe.Send(t, client, probe.Page(p, first))
		if strings.Contains(page.Text, "evil.example") {
			t.Errorf("Referer %q came into the form of %s", referer, first)
		}
	}
	// A program is told the same.
	if problem := probe.Send(t, client, func() *http.Request {
		req := probe.Page(p, "/x?y=1")
		req.Header.Set("Sec-Fetch-Mode", "cors")
		return req
	}()); problem.JSON(t)["login_url"] != "/.gate/login?rd=%2Fx%3Fy%3D1" {
		t.Errorf("login_url %v", problem.JSON(t)["login_url"])
	}
}
