package tls_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hsts is the one value (RFC 6797).
const hsts = "max-age=31536000; includeSubDomains"

func checkHSTS(t *testing.T, got answer, status int) {
	t.Helper()
	if status != 0 && got.StatusCode != status {
		t.Errorf("answers %s, want %d: %.200s", got.Status, status, got.text)
	}
	if diff := cmp.Diff([]string{hsts}, got.Header.Values("Strict-Transport-Security")); diff != "" {
		t.Errorf("HSTS of %s (-want +got):\n%s", got.Status, diff)
	}
	for name := range got.Trailer {
		if name == "Strict-Transport-Security" {
			t.Errorf("HSTS comes as a trailer too: %q", got.Trailer[name])
		}
	}
}

// TestHSTSOnceOnEveryAnswer (THREATS H9): whoever answers, over every protocol.
func TestHSTSOnceOnEveryAnswer(t *testing.T) {
	i := served(t)
	session := i.signIn(t, north)
	for _, protocol := range []string{"h1", "h2", "h3"} {
		client := i.client(t, protocol, "")
		for _, c := range []struct {
			name, method, host, path string
			status                   int
			header                   []string
		}{
			{"sign-in page", "GET", north, "/.gate/login", 200, asPage},
			{"head of a page", "HEAD", north, "/.gate/login", 200, asPage},
			{"asset", "GET", north, "/.gate/assets/nothing.css", 0, nil},
			{"JSON", "GET", north, "/.gate/health", 200, nil},
			{"keys", "GET", north, "/.gate/jwks.json", 200, nil},
			{"redirect to sign-in", "GET", north, "/", 303, asPage},
			{"refused program", "GET", north, "/", 401, nil},
			{"gateway's 404", "GET", north, "/.gate/nothing", 404, nil},
			{"gateway's 404 page", "GET", north, "/.gate/nothing", 404, asPage},
			{"gateway's 405", "DELETE", north, "/.gate/health", 405, nil},
			{"long method", strings.Repeat("M", 40), north, "/", 405, nil},
			{"trace", "TRACE", north, "/", 400, nil},
			{"ambiguous path", "GET", north, "/a//b", 400, nil},
			{"too many cookies", "GET", north, "/", 0, []string{"Cookie", strings.Repeat("a=b; ", 400)}},
			{"headers too large", "GET", north, "/public/json", 431, []string{"X-A", strings.Repeat("a", 40<<10)}},
			{"cookies that a browser can pile up", "GET", north, "/", 431, append([]string{"Cookie", strings.Repeat("a="+strings.Repeat("b", 36)+"; ", 1_500)}, asPage...)},
			{"signed in", "GET", north, "/", 200, []string{"Cookie", session.Name + "=" + session.Value}},
			{"proxied", "GET", north, "/public/json", 200, nil},
			{"backend's weaker value", "GET", north, "/public/weak", 200, nil},
			{"backend's trailer", "GET", north, "/public/trailer", 200, nil},
			{"backend's early hints", "GET", north, "/public/hints", 200, nil},
			{"backend's redirect", "GET", north, "/public/redirect", 302, nil},
			{"backend's 304", "GET", north, "/public/unchanged", 304, nil},
			{"backend's 404", "GET", north, "/public/missing", 404, nil},
			{"backend's 405", "GET", north, "/public/get-only", 405, nil},
			{"backend's 500", "GET", north, "/public/broken", 500, nil},
			{"backend hangs up", "GET", flaky, "/public/hang-up", 502, nil},
			{"backend is down", "GET", down, "/public/json", 502, nil},
			{"backend is down, page", "GET", down, "/public/json", 502, asPage},
		} {
			t.Run(protocol+"/"+c.name, func(t *testing.T) {
				req := request(t, c.method, c.host, c.path, c.header...)
				checkHSTS(t, do(t, client, req), c.status)
			})
		}
		t.Run(protocol+"/misdirected", func(t *testing.T) {
			checkHSTS(t, do(t, i.client(t, protocol, south), request(t, http.MethodGet, north, "/public/json")), 421)
		})
	}
}

// TestHSTSOnErrorsBeforeAnyHandler: requests that net/http or Caddy refuse before the
// gateway's first handler sees them.
func TestHSTSOnErrorsBeforeAnyHandler(t *testing.T) {
	i := served(t)
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"empty host":           {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		"host of dots":         {"GET / HTTP/1.1\r\nHost: ..\r\n\r\n", 0},
		"another practice":     {"GET / HTTP/1.1\r\nHost: " + south + "\r\n\r\n", 421},
		"an unknown host":      {"GET / HTTP/1.1\r\nHost: " + stranger + "\r\n\r\n", 421},
		"HTTP/1.0 without one": {"GET / HTTP/1.0\r\n\r\n", 421},
		"long method":          {strings.Repeat("M", 40) + " / HTTP/1.1\r\nHost: " + north + "\r\n\r\n", 405},
		"connect":              {"CONNECT " + north + ":443 HTTP/1.1\r\nHost: " + north + ":443\r\n\r\n", 0},
		"options of all":       {"OPTIONS * HTTP/1.1\r\nHost: " + north + "\r\n\r\n", 400},
		"no host":              {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":            {"GET / HTTP/1.1\r\nHost: " + north + "\r\nHost: " + south + "\r\n\r\n", 400},
		"no request":           {"\x00\x01\x02\r\n\r\n", 400},
		"broken name":          {"GET / HTTP/1.1\r\nHost: " + north + "\r\nX A: b\r\n\r\n", 400},
		"folded line":          {"GET / HTTP/1.1\r\nHost: " + north + "\r\nX-A: b\r\n c\r\n\r\n", 400},
		"unknown expectation":  {"POST / HTTP/1.1\r\nHost: " + north + "\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417},
		"headers too large":    {"GET / HTTP/1.1\r\nHost: " + north + "\r\nX-A: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", 431},
		"far too large":        {"GET / HTTP/1.1\r\nHost: " + north + "\r\nX-A: " + strings.Repeat("a", 140<<10) + "\r\n\r\n", 431},
		"unknown coding":       {"POST / HTTP/1.1\r\nHost: " + north + "\r\nTransfer-Encoding: tea\r\n\r\n", 501},
		"unknown version":      {"GET / HTTP/2.0\r\nHost: " + north + "\r\n\r\n", 505},
		"absolute target":      {"GET https://" + south + "/ HTTP/1.1\r\nHost: " + north + "\r\n\r\n", 421},
	} {
		t.Run(name, func(t *testing.T) { checkHSTS(t, i.raw(t, north, c.text), c.status) })
	}
}
