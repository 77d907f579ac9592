package login_test

import (
	"net/url"
	"strings"
	"testing"

	"clinicgate/modules/login"
)

func TestReturnPathIsKeptToTheLetter(t *testing.T) {
	for _, raw := range []string{
		"/", "/patients", "/patients/", "/patients/17?tab=notes&q=a%26b", "/caf%C3%A9", "/x?next=//evil.example", "/x?", "/a.b/c-d_e~f",
		"/.gate/account", "/.gate/console/policy", "/.gated", "/" + strings.Repeat("a", 2047),
	} {
		if got := login.ParseReturnPath(raw).String(); got != raw {
			t.Errorf("%.60q became %.60q", raw, got)
		}
	}
}

func TestReturnPathThatLeadsAwayBecomesTheStartPage(t *testing.T) {
	for _, raw := range []string{
		"", "patients", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/%09/evil.example",
		"https:evil.example", "https://evil.example", "http://acacia.localhost@evil.example", "javascript:alert(1)", "data:text/html,x",
		"/../evil", "/./evil", "/%2e%2e/evil", "/%2f/evil", "/%5cevil", "/;/evil", "/x//evil", "/x\r\nSet-Cookie: a=b", "/x%0d%0aa: b", "/x\x00", "/x%00",
		"/x#//evil", "/x?a#b", "/x y", "/\u2215evil", "/\uff0fevil", "/x?\u2028", "/x?\x7f", "/x?\\", "?x=/", "#", "/%zz", "/%", "/" + strings.Repeat("a", 2048),
		"/.gate/login", "/.GATE/LOGIN", "/.gate/login/totp", "/.gate/enrol/totp", "/.gate/logout?x", "/.gate/account/sessions/end", "/%2egate/login", "/.gate/",
	} {
		got := login.ParseReturnPath(raw)
		if got.String() != "/" || got.Query() != "" {
			t.Errorf("%.60q became %.60q (%q)", raw, got.String(), got.Query())
		}
	}
	if got := (login.ReturnPath{}).String(); got != "/" {
		t.Errorf("the zero path is %q", got)
	}
}

// FuzzReturnPath: whatever comes in, a browser that resolves what comes out stays on
// the host, in http and in the same spelling.
func FuzzReturnPath(f *testing.F) {
	for _, seed := range []string{
		"/", "//evil", "/\\evil", "/%09/evil", "https:evil", "/x?y=//z", "/..;/x", "/%2e%2e/x", "/.gate/login", "/\uff0fx", "/x#y", "/a%00", "/caf%C3%A9?q=%F0%9F%98%80",
	} {
		f.Add(seed)
	}
	base, err := url.Parse("https://acacia.example:8443/.gate/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path := login.ParseReturnPath(raw).String()
		to, err := url.Parse(path)
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, path, err)
		}
		if path != "/" && path != raw {
			t.Fatalf("%q became %q: it is taken as it is or not at all", raw, path)
		}
		resolved := base.ResolveReference(to)
		if resolved.Scheme != "https" || resolved.Host != base.Host || resolved.User != nil || resolved.Fragment != "" {
			t.Fatalf("%q leads to %q", raw, resolved)
		}
		if path[0] != '/' || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t #\x00") {
			t.Fatalf("%q became %q", raw, path)
		}
		if again := login.ParseReturnPath(path).String(); again != path {
			t.Fatalf("%q, read again, became %q", path, again)
		}
		query, err := url.ParseQuery(strings.TrimPrefix(login.ParseReturnPath(raw).Query(), "?"))
		if err != nil || path != "/" && query.Get("rd") != path {
			t.Fatalf("%q does not survive as rd: %v %v", path, query, err)
		}
	})
}
