package tls_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
)

// plain sends text to the HTTP port and reads one answer.
func (i *install) plain(t *testing.T, text string) answer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", i.http, wait)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return exchange(t, conn, text)
}

// TestPlainHTTPOnlyRedirects: to the same host and path, for a practice's host and for
// no other, whatever the request is, and never with a cookie.
func TestPlainHTTPOnlyRedirects(t *testing.T) {
	i := served(t)
	session := i.signIn(t, north)
	_, port, _ := net.SplitHostPort(i.https)
	_, httpPort, _ := net.SplitHostPort(i.http)
	home := "https://" + north + ":" + port
	for name, c := range map[string]struct {
		text, location string
		status         int
	}{
		"a page":                {"GET /a/b?c=d HTTP/1.1\r\nHost: " + north + "\r\n\r\n", home + "/a/b?c=d", 308},
		"with its port":         {"GET / HTTP/1.1\r\nHost: " + north + ":" + httpPort + "\r\n\r\n", home + "/", 308},
		"in capitals":           {"GET / HTTP/1.1\r\nHost: " + strings.ToUpper(north) + "\r\n\r\n", home + "/", 308},
		"a session":             {"GET /records HTTP/1.1\r\nHost: " + north + "\r\nCookie: __Host-gate=" + session.Value + "\r\n\r\n", home + "/records", 308},
		"a sign-in":             {"POST /.gate/login HTTP/1.1\r\nHost: " + north + "\r\nContent-Length: 0\r\n\r\n", home + "/.gate/login", 308},
		"public path":           {"GET /public/json HTTP/1.1\r\nHost: " + north + "\r\n\r\n", home + "/public/json", 308},
		"health":                {"GET /.gate/health HTTP/1.1\r\nHost: " + north + "\r\n\r\n", home + "/.gate/health", 308},
		"metrics":               {"GET /metrics HTTP/1.1\r\nHost: " + north + "\r\n\r\n", home + "/metrics", 308},
		"claims to be https":    {"GET / HTTP/1.1\r\nHost: " + north + "\r\nX-Forwarded-Proto: https\r\n\r\n", home + "/", 308},
		"claims another host":   {"GET / HTTP/1.1\r\nHost: " + north + "\r\nX-Forwarded-Host: " + stranger + "\r\n\r\n", home + "/", 308},
		"unknown host":          {"GET / HTTP/1.1\r\nHost: " + stranger + "\r\n\r\n", "", 421},
		"an address":            {"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "", 421},
		"trailing dot":          {"GET / HTTP/1.1\r\nHost: " + north + ".\r\n\r\n", "", 421},
		"no host":               {"GET / HTTP/1.0\r\n\r\n", "", 421},
		"empty host":            {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "", 400},
		"two hosts":             {"GET / HTTP/1.1\r\nHost: " + north + "\r\nHost: " + stranger + "\r\n\r\n", "", 400},
		"longer host":           {"GET / HTTP/1.1\r\nHost: " + north + "." + stranger + "\r\n\r\n", "", 421},
		"host of an encoding":   {"GET / HTTP/1.1\r\nHost: %6eorth.clinic.test\r\n\r\n", "", 421},
		"IPv6":                  {"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "", 421},
		"a path in the host":    {"GET / HTTP/1.1\r\nHost: " + stranger + "/" + north + "\r\n\r\n", "", 0},
		"a port that is none":   {"GET / HTTP/1.1\r\nHost: " + north + ":x@" + stranger + "\r\n\r\n", "", 0},
		"a port too large":      {"GET / HTTP/1.1\r\nHost: " + north + ":99999\r\n\r\n", "", 421},
		"an end of line":        {"GET /%0d%0aLocation:%20https://" + stranger + " HTTP/1.1\r\nHost: " + north + "\r\n\r\n", "", 400},
		"absolute target":       {"GET http://" + stranger + "/ HTTP/1.1\r\nHost: " + north + "\r\n\r\n", "", 421},
		"two slashes":           {"GET //" + stranger + "/ HTTP/1.1\r\nHost: " + north + "\r\n\r\n", "", 400},
		"a backslash":           {"GET /\\" + stranger + " HTTP/1.1\r\nHost: " + north + "\r\n\r\n", "", 400},
		"user name in the host": {"GET / HTTP/1.1\r\nHost: " + north + "@" + stranger + "\r\n\r\n", "", 0},
		"challenge of nobody":   {"GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: " + stranger + "\r\n\r\n", "", 421},
		"upgrade to h2c":        {"GET / HTTP/1.1\r\nHost: " + north + "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", home + "/", 308},
	} {
		t.Run(name, func(t *testing.T) {
			res := i.plain(t, c.text)
			if c.status != 0 && res.StatusCode != c.status || c.status == 0 && res.StatusCode < 400 {
				t.Errorf("answers %s, want %d", res.Status, c.status)
			}
			if got := res.Header.Get("Location"); got != c.location {
				t.Errorf("sends to %q, want %q", got, c.location)
			}
			if len(res.Header.Values("Set-Cookie")) > 0 || strings.Contains(res.text, "backend") {
				t.Errorf("over plain HTTP comes %v and %.100q", res.Header, res.text)
			}
			if got := res.Header.Get("Strict-Transport-Security"); got != "" {
				t.Errorf("HSTS over plain HTTP, which RFC 6797 section 7.2 forbids: %q", got)
			}
		})
	}
}

// TestHTTP2WithoutTLSOnlyRedirects: Caddy takes it on the HTTP port although its
// protocols do not name it. It opens nothing that HTTP/1.1 does not.
func TestHTTP2WithoutTLSOnlyRedirects(t *testing.T) {
	i := served(t)
	_, port, _ := net.SplitHostPort(i.https)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, i.http)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: wait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for host, want := range map[string]struct {
		status   int
		location string
	}{
		north:    {308, "https://" + north + ":" + port + "/public/json"},
		stranger: {421, ""},
	} {
		req := request(t, http.MethodGet, host, "/public/json")
		req.URL.Scheme, req.URL.Host = "http", host
		res := do(t, client, req)
		if res.StatusCode != want.status || res.Header.Get("Location") != want.location || res.ProtoMajor != 2 {
			t.Errorf("%s: %s %s to %q, want %d to %q", host, res.Proto, res.Status, res.Header.Get("Location"), want.status, want.location)
		}
	}
}

// TestSessionCookieStaysOnTLS: the browser is told never to send it over HTTP, and
// only the host itself could have set it (THREATS C1).
func TestSessionCookieStaysOnTLS(t *testing.T) {
	i := served(t)
	c := i.signIn(t, north)
	if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("the session cookie is %+v", c)
	}
}
