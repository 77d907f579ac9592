package policy_test

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"clinicgate/policy"
)

// servers are ways in which backends find the path that they route on, each written from what that server does and from
// nothing of ours. They take the path as the gateway sends it. ok is false where the server answers 400 by itself.
var servers = map[string]func(sent string) (seen string, ok bool){
	// net/http: percent-decoded once, then ServeMux cleans it.
	"Go": func(sent string) (string, bool) {
		u, err := url.ParseRequestURI(sent)
		if err != nil {
			return "", false
		}
		clean := path.Clean(u.Path)
		if strings.HasSuffix(u.Path, "/") && clean != "/" {
			clean += "/"
		}
		return clean, true
	},
	// nginx: cut at "?" and "#", decoded once, "//" merged, dot segments resolved.
	"nginx": func(sent string) (string, bool) {
		seen, ok := decodeOnce(cutAt(sent, "?#"))
		if !ok || strings.ContainsRune(seen, 0) {
			return "", false
		}
		return resolve(regexp.MustCompile("/+").ReplaceAllString(seen, "/")), true
	},
	// Node with Express: WHATWG URL (backslashes are slashes, "%2e" is a dot, tabs and line ends vanish); routes match
	// before decoding, so that an encoded slash separates nothing.
	"Node": func(sent string) (string, bool) {
		sent = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(cutAt(sent, "?#"))
		sent = regexp.MustCompile("(?i)%2f").ReplaceAllString(regexp.MustCompile("(?i)%2e").ReplaceAllString(sent, "."), "\x00")
		return decodeOnce(resolve(sent))
	},
	// Tomcat: path parameters are cut out before decoding, "\" may be "/", then dot segments and "//" are resolved.
	"Tomcat": func(sent string) (string, bool) {
		seen, ok := decodeOnce(regexp.MustCompile(";[^/]*").ReplaceAllString(cutAt(sent, "?#"), ""))
		return resolve(regexp.MustCompile(`[/\\]+`).ReplaceAllString(seen, "/")), ok
	},
	// One that decodes before it cuts parameters, queries and fragments off, as old Java and PHP front ends do.
	"decode first": func(sent string) (string, bool) {
		seen, ok := decodeOnce(sent)
		seen = regexp.MustCompile(";[^/]*").ReplaceAllString(cutAt(seen, "?#\x00"), "")
		return resolve(regexp.MustCompile(`[/\\]+`).ReplaceAllString(seen, "/")), ok
	},
	// Two of them in a row decode twice.
	"decode twice": func(sent string) (string, bool) {
		seen, ok := decodeOnce(sent)
		if again, fine := decodeOnce(seen); fine {
			seen = again
		}
		return resolve(seen), ok
	},
	// Windows: backslashes, and dots and blanks at the end of a name are cut off.
	"IIS": func(sent string) (string, bool) {
		seen, ok := decodeOnce(cutAt(sent, "?#"))
		seen = regexp.MustCompile(`[/\\]+`).ReplaceAllString(seen, "/")
		return resolve(regexp.MustCompile(`([^/. ])[. ]+(/|$)`).ReplaceAllString(seen, "$1$2")), ok
	},
}

func cutAt(s, any string) string {
	if i := strings.IndexAny(s, any); i >= 0 {
		return s[:i]
	}
	return s
}

// decodeOnce leaves what is no percent-encoding as it is, as lenient servers do.
func decodeOnce(s string) (string, bool) {
	out := regexp.MustCompile("%[0-9a-fA-F]{2}").ReplaceAllStringFunc(s, func(code string) string {
		b, _ := url.PathUnescape(code)
		return b
	})
	return out, true
}

// resolve is RFC 3986 section 5.2.4.
func resolve(s string) string {
	var out []string
	segments := strings.Split(s, "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch {
		case segment == ".." && len(out) > 1:
			out = out[:len(out)-1]
		case segment != "." && segment != "..":
			out = append(out, segment)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return strings.Join(out, "/")
}

// pieces are what attacks on paths are made of.
var pieces = []string{
	"/", "/", "/", "a", "admin", "ADMIN", "pub", ".", "..", "...", "%2e", "%2E", "%2e%2e", ".%2e", "%2f", "%2F", "%5c", "%5C", `\`, ";", ";x=1", "%3b",
	"?", "%3f", "#", "%23", "%00", "\x00", "%252e", "%252f", "%25", "%", "%u002e", "%c0%af", "%c0%ae", "%e0%80%af", "%61", "%41", "%7e", "~", " ", "%20",
	"+", "%2b", "%09", "%0a", "%ef%bc%8f", "%ef%bc%8e", "%e2%80%a5", "%e2%88%95", "%c4%b1", "%cc%81", "%ef%b8%8f", "%c2%a0", "%e1%9a%80", "%c3%a9", "é", "*", ":", "@", "$",
	"(", "!", "%28", "=", "&", ",", "|", "^", "[", "{x}", "<", "\"", "`", "%7f", "%ff",
}

// Whatever is let through is one path to every server; and what no server reads in two ways is let through.
func TestEveryServerSeesTheCanonicalPath(t *testing.T) {
	check := func(t *rapid.T, raw string) {
		canonical, err := policy.CanonicalPath(raw)
		if err != nil {
			return
		}
		sent := policy.NormalEncoding(raw)
		for name, read := range servers {
			if seen, ok := read(sent); !ok || seen != canonical {
				t.Fatalf("%q is %q to us, sent as %q it is %q to %s", raw, canonical, sent, seen, name)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, "/"+strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "path"), ""))
	})
	rapid.Check(t, func(t *rapid.T) { check(t, "/"+rapid.String().Draw(t, "path")) })
	rapid.Check(t, func(t *rapid.T) { check(t, "/"+url.PathEscape(rapid.String().Draw(t, "path"))) })
}

// A server that matches routes before it decodes (Express) knows only the plain spelling of letters.
func TestNormalEncodingLeavesNoLetterEncoded(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                    "/",
		"/x":                   "/x",
		"/%61dmin/%41":         "/admin/A",
		"/%7Ejoe/a%2Db%5fc%30": "/~joe/a-b_c0",
		"/a%2Eb":               "/a.b",
		"/a%20b%2C%3a%40%24":   "/a%20b%2C%3a%40%24",
		"/M%c3%bcller(x)'!*":   "/M%c3%bcller(x)'!*",
		"/%28x%29":             "/%28x%29",
	} {
		got := policy.NormalEncoding(raw)
		if got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
		before, err := policy.CanonicalPath(raw)
		if after, again := policy.CanonicalPath(got); err != nil || again != nil || before != after {
			t.Errorf("%q was %q (%v), and is %q (%v)", raw, before, err, after, again)
		}
	}
	for _, cut := range []string{"", "%", "/%6", "/%zz", "/%2f%2e%00"} {
		if got := policy.NormalEncoding(cut); len(got) > len(cut) {
			t.Errorf("%q: got %q", cut, got)
		}
	}
}

// Code pages of Windows make slashes of these, some servers cut blanks of any alphabet off.
func TestLookAlikesOfDelimitersAreRefused(t *testing.T) {
	for name, raw := range map[string]string{
		"fraction slash": "/pub%e2%81%84admin", "division slash": "/pub%e2%88%95admin", "set minus": "/pub%e2%88%96admin", "yen": "/pub%c2%a5admin",
		"won": "/pub%e2%82%a9admin", "Ogham blank at the end": "/admin%e1%9a%80", "ideographic blank": "/admin%e3%80%80/x", "small backslash": "/a%ef%b9%a8b",
	} {
		if got, err := policy.CanonicalPath(raw); err == nil {
			t.Errorf("%s: %q gave %q", name, raw, got)
		}
	}
	if got, err := policy.CanonicalPath("/%e5%b1%b1%e7%94%b0%e3%80%80%e5%a4%aa%e9%83%8e"); err != nil {
		t.Errorf("an ideographic blank inside a name: %q, %v", got, err)
	}
}
