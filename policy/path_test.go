package policy_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"clinicgate/policy"
)

func TestCanonicalPathIsWhatEveryBackendSees(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                  "/",
		"/x":                 "/x",
		"/x/":                "/x/",
		"/%61dmin":           "/admin",
		"/ADMIN":             "/ADMIN",
		"/a%20b":             "/a b",
		"/M%C3%BCller":       "/Müller",
		"/%e6%97%a5":         "/日",
		"/a.b/.well-known/x": "/a.b/.well-known/x",
		"/...x":              "/...x",
		"/Patient/$all:x@y,": "/Patient/$all:x@y,",
		"/{env.SECRET}":      "/{env.SECRET}",
		"/a%7Bb":             "/a{b",
		"/~x!'()*+=&|^[]":    "/~x!'()*+=&|^[]",
	} {
		if got, err := policy.CanonicalPath(raw); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestAmbiguousPathsAreRefused(t *testing.T) {
	for name, raw := range map[string]string{
		"empty": "", "asterisk form": "*", "absolute form": "http://a/x", "no slash": "x",
		"dot dot": "/pub/../admin", "dot dot encoded": "/pub/%2e%2e/admin", "half encoded": "/pub/.%2E/admin",
		"dot dot at the end": "/pub/..", "dot": "/./x", "dots": "/.../x", "encoded slash": "/pub/..%2fadmin",
		"encoded slash, upper case": "/pub%2Fadmin", "path parameter": "/pub/..;/admin", "encoded semicolon": "/pub%3bx",
		"two slashes": "//admin", "two slashes inside": "/pub//admin", "two slashes at the end": "/pub//",
		"NUL": "/admin%00", "raw NUL": "/admin\x00", "hash": "/admin#/pub", "encoded hash": "/admin%23/pub",
		"backslash": `/pub\admin`, "encoded backslash": "/pub%5cadmin", "query": "/admin?x", "encoded query": "/admin%3fx",
		"twice encoded": "/pub/%252e%252e/admin", "control": "/a\nb", "encoded control": "/a%0ab", "delete": "/a%7f", "raw delete": "/a\x7f",
		"raw blank": "/a b", "tab": "/a\tb", "cut escape": "/a%2", "cut escape at %": "/a%", "bad escape": "/a%zz", "IIS escape": "/a%u002e",
		"raw UTF-8": "/Müller", "overlong slash": "/%c0%af", "overlong dot": "/%c0%ae%c0%ae/", "overlong, three bytes": "/%e0%80%af",
		"surrogate": "/%ed%a0%80", "lone byte": "/%ff", "segment ends in a dot": "/admin./x", "path ends in a dot": "/admin.",
		"segment ends in a blank": "/admin%20/x", "path ends in a blank": "/admin%20",
		"full-width slash": "/pub%ef%bc%8fadmin", "full-width dots": "/pub/%ef%bc%8e%ef%bc%8e/admin",
		"two dot leader": "/pub/%e2%80%a5/admin", "full-width backslash": "/pub%ef%bc%bcx", "full-width percent": "/%ef%bc%852e",
		"Greek question mark": "/pub%cd%bex", "care of": "/%e2%84%85", "no-break blank at the end": "/admin%c2%a0",
		"zero width": "/ad%e2%80%8bmin", "soft hyphen": "/ad%c2%admin", "bidi override": "/%e2%80%aex", "next line": "/a%c2%85b",
		"line separator": "/a%e2%80%a8b", "byte order mark": "/%ef%bb%bfx", "replacement": "/%ef%bf%bd", "noncharacter": "/%ef%bf%bf",
		"dots around a variation selector": "/pub/.%ef%b8%8f./admin", "nothing but one": "/pub/%ef%b8%8f/admin",
		"too long": "/" + strings.Repeat("a", 8192),
	} {
		if got, err := policy.CanonicalPath(raw); err == nil || got != "" {
			t.Errorf("%s: %.40q gave %.40q, %v; want an error", name, raw, got, err)
		}
	}
}

func TestLongestPathIsServed(t *testing.T) {
	if _, err := policy.CanonicalPath("/" + strings.Repeat("a", 8191)); err != nil {
		t.Error(err)
	}
}

func TestPlainPathAllocatesNothing(t *testing.T) {
	for _, raw := range []string{"/api/patients/4711/notes", "/a.b/c_d-e~f"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = policy.CanonicalPath(raw) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", raw, n)
		}
	}
}

func FuzzCanonicalPath(f *testing.F) {
	for _, seed := range []string{"/", "/pub/%2e%2e/admin", "/a%20b", "/M%C3%BCller", "//", "/%c0%af", "/x/./y", "/a;b", "/%ef%bc%8f",
		"/a%CC%81", "/%E2%84%AAiosk", "/a%2", "/%ed%a0%80", "/~a:b@c$d", "/%cd%be"} {
		f.Add(seed)
	}
	p := compile(f)
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := policy.CanonicalPath(raw)
		if err != nil {
			if path != "" {
				t.Fatalf("%q: refused, and yet %q", raw, path)
			}
			return
		}
		again, err := policy.CanonicalPath(escapeAll(path))
		if len(escapeAll(path)) <= 8192 && (err != nil || again != path) {
			t.Fatalf("%q → %q, but escaped it gives %q, %v", raw, path, again, err)
		}
		for _, form := range []string{path, norm.NFC.String(path), norm.NFD.String(path), norm.NFKC.String(path), norm.NFKD.String(path)} {
			if fault := ambiguous(form); fault != "" {
				t.Fatalf("%q → %q, as %q: %s", raw, path, form, fault)
			}
		}
		if u, err := url.ParseRequestURI(raw); err != nil || u.Path != path || u.RawQuery != "" || u.Host != "" {
			t.Fatalf("%q: we read %q, net/url reads %+v, %v", raw, path, u, err)
		}
		if d := p.Decide(nil, request("GET", path)); d.Reason() == policy.ReasonPathRefused {
			t.Fatalf("%q → %q, which Decide refuses", raw, path)
		}
	})
}

func ambiguous(path string) string {
	switch {
	case !utf8.ValidString(path) || path == "" || path[0] != '/':
		return "not a path"
	case strings.ContainsAny(path, `\%?#;`) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "holds a delimiter or a control character"
	case strings.Contains(path, "//"):
		return "empty segment"
	}
	for _, segment := range strings.Split(path[1:], "/") {
		if strings.HasSuffix(segment, ".") || strings.HasSuffix(segment, " ") {
			return "segment ends in a dot or a blank"
		}
	}
	return ""
}

func escapeAll(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if path[i] == '/' {
			b.WriteByte('/')
			continue
		}
		fmt.Fprintf(&b, "%%%02x", path[i])
	}
	return b.String()
}

func BenchmarkCanonicalPath(b *testing.B) {
	for name, raw := range map[string]string{"plain": "/api/patients/4711/notes", "encoded": "/api/patients/M%C3%BCller/notes"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = policy.CanonicalPath(raw)
			}
		})
	}
}
