package paths_test

import (
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// ambiguous are spellings of a protected path behind one that is open, of which two
// servers could make two paths. "{p}" is the protected path without its slash.
var ambiguous = map[string]string{
	"dot dot":                    "/pub/../{p}",
	"dot dot, first half":        "/pub/%2e./{p}",
	"dot dot, second half":       "/pub/.%2e/{p}",
	"dot dot, encoded":           "/pub/%2e%2e/{p}",
	"dot dot, upper case":        "/pub/%2E%2E/{p}",
	"dot dot, twice encoded":     "/pub/%252e%252e/{p}",
	"dot dot, thrice encoded":    "/pub/%25252e%25252e/{p}",
	"dot dot and encoded slash":  "/pub/..%2f{p}",
	"dot dot and big slash":      "/pub/..%2F{p}",
	"dot dot, backslash":         `/pub/..\{p}`,
	"dot dot, encoded backslash": "/pub/..%5c{p}",
	"dot dot, path parameter":    "/pub/..;/{p}",
	"dot dot, parameter, value":  "/pub/..;a=b/{p}",
	"dot dot, encoded semicolon": "/pub/..%3b/{p}",
	"dot dot, overlong":          "/pub/%c0%ae%c0%ae/{p}",
	"dot dot, overlong slash":    "/pub/..%c0%af{p}",
	"dot dot, three bytes":       "/pub/%e0%80%ae%e0%80%ae/{p}",
	"dot dot, full width":        "/pub/%ef%bc%8e%ef%bc%8e/{p}",
	"dot dot, leader":            "/pub/%e2%80%a5/{p}",
	"dot dot, full-width slash":  "/pub/..%ef%bc%8f{p}",
	"dot dot, IIS":               "/pub/%u002e%u002e/{p}",
	"dot dot, blank":             "/pub/..%20/{p}",
	"dot dot, NUL":               "/pub/..%00/{p}",
	"dot dot, tab":               "/pub/.%09./{p}",
	"dot dot, newline":           "/pub/.%0a./{p}",
	"dots":                       "/pub/.../{p}",
	"many climbs":                "/pub" + strings.Repeat("/..", 30) + "/{p}",
	"climb and return":           "/{p}/../pub/x",
	"dot":                        "/./{p}",
	"dot, encoded":               "/%2e/{p}",
	"dot behind":                 "/{p}/.",
	"two slashes":                "//{p}",
	"three slashes":              "///{p}",
	"two slashes behind":         "/{p}//",
	"two slashes inside":         "/pub//../{p}",
	"encoded slash":              "/pub%2f{p}",
	"encoded slash before":       "/%2f{p}",
	"encoded slash behind":       "/{p}%2f",
	"backslash":                  `/\{p}`,
	"backslash for slash":        `\{p}`,
	"encoded backslash":          "/%5c{p}",
	"NUL":                        "/{p}%00",
	"NUL and more":               "/{p}%00.css",
	"hash":                       "/{p}#/pub/",
	"encoded hash":               "/{p}%23/pub/",
	"encoded question mark":      "/pub/%3f/../{p}",
	"full-width question mark":   "/{p}%ef%bc%9fpub",
	"semicolon":                  "/{p};.css",
	"semicolon first":            "/;/{p}",
	"session in the path":        "/{p};jsessionid=1",
	"encoded percent":            "/%25{p}",
	"bad escape":                 "/{p}%zz",
	"cut escape":                 "/{p}%2",
	"lonely percent":             "/{p}%",
	"plus escape":                "/{p}%+1",
	"blank behind":               "/{p}%20",
	"blank before":               "/%20/{p}",
	"dot at the end":             "/{p}.",
	"dot at the end, encoded":    "/{p}%2e",
	"no-break blank":             "/{p}%c2%a0",
	"zero width":                 "/{p}%e2%80%8b",
	"soft hyphen":                "/{p}%c2%ad",
	"byte order mark":            "/%ef%bb%bf{p}",
	"lone byte":                  "/{p}%ff",
	"surrogate":                  "/{p}%ed%a0%80",
	"control":                    "/{p}%01",
	"delete":                     "/{p}%7f",
	"CR LF":                      "/{p}%0d%0aX-Practice-Id:%20x",
	"raw UTF-8":                  "/{p}\u00e9",
	"stream name":                "/{p}::$DATA%2f..",
	"very long":                  "/pub/" + strings.Repeat("a", 9000),
	"very deep":                  strings.Repeat("/a", 5000),
	"absolute form":              "https://harbour.localhost/{p}",
	"absolute form, http":        "http://harbour.localhost/{p}",
	"absolute form, other host":  "https://acacia.localhost/{p}",
	"absolute form, user":        "https://a@harbour.localhost/{p}",
	"absolute form, other case":  "HTTPS://HARBOUR.LOCALHOST/{p}",
	"authority form":             "harbour.localhost:443",
	"asterisk form":              "*",
	"no slash":                   "{p}",
	"scheme alone":               "https:/{p}",
	"javascript":                 "javascript:alert(1)",
}

// TestAmbiguousPathIsRefusedBeforeAnyRule is THREATS P1 and facts 3, 4 and 15: against
// every kind of rule, as nobody, as somebody who may not, and as one who may.
func TestAmbiguousPathIsRefusedBeforeAnyRule(t *testing.T) {
	protected := []string{"admin/x", "reports/x", "vault/x", "patients"}
	for name, spelling := range ambiguous {
		t.Run(name, func(t *testing.T) {
			for _, path := range protected {
				target := strings.ReplaceAll(spelling, "{p}", path)
				for _, who := range []string{"", "reviewer", "admin"} {
					rig.Refuses(t, gate, as(t, who, "GET", target), 400, 421)
				}
				if target == spelling {
					break
				}
			}
			target := strings.ReplaceAll(spelling, "{p}", "admin/x")
			for _, protocol := range []string{"h2", "h3"} {
				if protocol == "h3" && (!strings.HasPrefix(target, "/") || strings.ContainsAny(target, "\\#") || strings.HasPrefix(target, "//")) {
					continue // the library changes it before it is sent
				}
				request := as(t, "admin", "GET", target)
				request.Protocol = protocol
				rig.Refuses(t, gate, request, 400, 421, 0)
			}
		})
	}
}

// TestRuleCoversWhatTheBackendSees is THREATS P1 and P2: a spelling that is not refused
// is decided as the path that the backend will decode.
func TestRuleCoversWhatTheBackendSees(t *testing.T) {
	for name, target := range map[string]string{
		"plain": "/admin/x", "the rule's own folder": "/admin", "with a slash": "/admin/", "encoded letter": "/%61dmin/x", "all encoded": "/%61%64%6d%69%6e/x",
		"upper case": "/ADMIN/x", "mixed case": "/aDmIn/X", "encoded upper case": "/%41DMIN/x", "deep": "/admin/pub/x", "with a query": "/admin/x?/pub/",
		"query that climbs": "/admin/x?a=/../../pub/x", "query with a question": "/admin/x??", "dots in a name": "/admin/..x", "star": "/admin/*",
		"encoded star": "/admin/%2a", "braces": "/admin/{http.request.uri}", "tilde": "/admin/~x",
	} {
		t.Run(name, func(t *testing.T) {
			rig.Refuses(t, gate, as(t, "", "GET", target), 401)
			rig.Refuses(t, gate, as(t, "reviewer", "GET", target), 403)
			reached(t, as(t, "admin", "GET", target))
		})
	}
	t.Run("letters reach the backend plain", func(t *testing.T) {
		// Express matches routes before it decodes.
		echo := rig.Passes(t, gate, as(t, "admin", "GET", "/%61pi/ech%6F?q=%61"))
		if want := "/api/echo?q=%61"; echo.Path != want {
			t.Errorf("the backend saw %s, want %s", echo.Path, want)
		}
	})
	t.Run("letters that some backends take for others", func(t *testing.T) {
		// A backend that folds letter case the Unicode way reads them as s and k.
		rig.Refuses(t, gate, as(t, "reviewer", "GET", "/report%c5%bf/x"), 400, 403)
		rig.Refuses(t, gate, as(t, "", "GET", "/p%e2%84%aai"), 400, 401)
		// One that does it letter by letter reads the two Turkish ones as i.
		rig.Refuses(t, gate, as(t, "reviewer", "GET", "/adm%c4%b0n/x"), 400, 403)
		rig.Refuses(t, gate, as(t, "reviewer", "GET", "/adm%c4%b1n/x"), 400, 403)
		rig.Refuses(t, gate, as(t, "reviewer", "GET", "/admin%ef%b8%8f/x"), 400, 403)
	})
	t.Run("a public rule is exact", func(t *testing.T) {
		for _, target := range []string{"/PUB/x", "/Pub/x", "/pubx", "/pub-x", "/PKI", "/pkix", "/pki/", "/pki/x", "/pki.html", "/x/pub/x"} {
			rig.Refuses(t, gate, as(t, "", "GET", target), 401)
		}
		for _, target := range []string{"/pub/x", "/pub", "/pub/", "/%70ub/x", "/pub/x?y=/admin", "/pki", "/pki?x", "/pub/admin/x"} {
			reached(t, as(t, "", "GET", target))
		}
	})
	t.Run("the query never takes part", func(t *testing.T) {
		for _, target := range []string{"/patients?/pub/", "/patients?path=/pub/x", "/?/pub/x", "/patients?%2fpub%2f"} {
			rig.Refuses(t, gate, as(t, "", "GET", target), 401)
		}
	})
}

// TestMethodIsReadToTheLetter is THREATS P2 and fact 15: lower case is another method,
// unknown ones open nothing, TRACE and CONNECT are for nobody.
func TestMethodIsReadToTheLetter(t *testing.T) {
	for _, protocol := range []string{"h1", "h2", "h3"} {
		send := func(who, method, target string) rig.Request {
			request := as(t, who, method, target)
			request.Protocol = protocol
			return request
		}
		for _, method := range []string{"get", "Get", "post", "PROPFIND", "LINK", "MOVE", "SEARCH", "PURGE", "DEBUG", "TRACK", "ACL", "GETX", "G", "*"} {
			t.Run(protocol+" "+method, func(t *testing.T) {
				rig.Refuses(t, gate, send("", method, "/pub/x"), 400, 401, 403, 405, 501, 0)
				rig.Refuses(t, gate, send("admin", method, "/patients"), 400, 401, 403, 405, 501, 0)
			})
		}
		for _, method := range []string{"TRACE", "CONNECT"} {
			t.Run(protocol+" "+method, func(t *testing.T) {
				for _, target := range []string{"/pub/x", "/patients", "/.gate/login"} {
					rig.Refuses(t, gate, send("admin", method, target), 400, 403, 405, 421, 501, 0)
				}
			})
		}
		t.Run(protocol+" a rule for a role", func(t *testing.T) {
			rig.Refuses(t, gate, send("reviewer", "GET", "/reports/x"), 403)
			reached(t, send("billing", "GET", "/reports/x"))
		})
		t.Run(protocol+" a step-up for POST", func(t *testing.T) {
			for _, target := range []string{"/prescriptions/x", "/PRESCRIPTIONS/x", "/%50rescriptions/x", "/prescriptions"} {
				rig.Refuses(t, gate, send("admin", "POST", target), 401)
			}
			reached(t, send("admin", "GET", "/prescriptions/x"))
			rig.Refuses(t, gate, send("admin", "GET", "/vault/x"), 401)
			rig.Refuses(t, gate, send("admin", "HEAD", "/vault/x"), 401)
		})
	}
	t.Run("h1 absurd", func(t *testing.T) {
		for _, method := range []string{strings.Repeat("A", 5000), "GE\tT", "G/ET", "GET\x00", "\"GET\""} {
			rig.Refuses(t, gate, as(t, "admin", method, "/patients"), 400, 405, 431, 403, 0)
		}
	})
	t.Run("overrides", func(t *testing.T) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x-http-method-override"} {
			request := as(t, "admin", "POST", "/api/echo")
			request.Header = []rig.Field{{name, "DELETE"}, {"Content-Length", "0"}}
			echo := rig.Passes(t, gate, request)
			if echo.Method != "POST" {
				t.Errorf("the backend saw %s", echo.Method)
			}
			for seen := range echo.Headers {
				if strings.Contains(strings.ToLower(seen), "override") || strings.EqualFold(seen, name) {
					t.Errorf("the backend saw %s", seen)
				}
			}
		}
	})
}

// TestOperatorsPagesAreNotPublic is THREATS P3.
func TestOperatorsPagesAreNotPublic(t *testing.T) {
	for _, target := range []string{
		"/metrics", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/config", "/config/", "/config/apps", "/load", "/stop", "/id/x",
		"/adapt", "/pki/ca/local", "/pki/ca/local/certificates", "/reverse_proxy/upstreams", "/.gate/metrics", "/.gate/debug/pprof", "/.gate/config",
	} {
		for _, protocol := range []string{"h1", "h2"} {
			request := as(t, "", "GET", target)
			request.Protocol = protocol
			rig.Refuses(t, gate, request, 401, 404)
		}
	}
}

// TestPlaceholdersAreNeverExpanded is THREATS P4: what a client sends comes out as it
// went in, or not at all.
func TestPlaceholdersAreNeverExpanded(t *testing.T) {
	payloads := []string{"{env.HOME}", "{env.PATH}", "{file./etc/passwd}", "{http.vars.client_ip}", "{http.request.header.Cookie}", "{system.hostname}", "{$HOME}", "{{env \"HOME\"}}"}
	for _, payload := range payloads {
		t.Run(payload, func(t *testing.T) {
			request := as(t, "admin", "GET", "/api/echo?q="+strings.NewReplacer(" ", "%20", `"`, "%22").Replace(payload))
			request.Header = []rig.Field{{"X-Note", payload}, {"User-Agent", payload}, {"Referer", payload}, {"Cookie", "note=" + strings.ReplaceAll(payload, " ", "")}}
			echo := rig.Passes(t, gate, request)
			echo.Only(t, "X-Note", payload)
			echo.Only(t, "User-Agent", payload)
			if want := "/api/echo?q=" + strings.NewReplacer(" ", "%20", `"`, "%22").Replace(payload); echo.Path != want {
				t.Errorf("the backend saw %q, want %q", echo.Path, want)
			}
			request = as(t, "", "GET", "/.gate/login?rd="+strings.NewReplacer(" ", "%20", `"`, "%22").Replace("/"+payload))
			request.Header = []rig.Field{{"Accept", "text/html"}, {"User-Agent", payload}}
			answer := rig.Send(t, gate, request)
			for _, secret := range []string{"/root", "/usr/bin", "root:x:0"} {
				if strings.Contains(answer.Text, secret) {
					t.Errorf("the sign-in page holds %q", secret)
				}
			}
		})
	}
}
