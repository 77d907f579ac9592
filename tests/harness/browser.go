package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// Browser is a client with cookies that follows no redirect by itself and sends what
// a browser sends on a top-level navigation.
type Browser struct {
	t      testing.TB
	g      *Gateway
	client *http.Client
}

// Browser opens one. protocol is "h1" or "h2".
func (g *Gateway) Browser(t testing.TB, protocol string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig:   g.TLS(""),
		ForceAttemptHTTP2: protocol == "h2",
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", g.Addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{t: t, g: g, client: &http.Client{
		Transport: transport, Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is a response with its body read.
type Answer struct {
	*http.Response
	Text string
}

// JSON decodes the body.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Text), &v); err != nil {
		t.Fatalf("not JSON (%s): %.200s", a.Status, a.Text)
	}
	return v
}

// Get navigates to an address.
func (b *Browser) Get(address string) Answer {
	b.t.Helper()
	return b.Do(b.Request(http.MethodGet, address, nil))
}

// Fetch asks as a script of the same page does.
func (b *Browser) Fetch(method, address string, body []byte) Answer {
	b.t.Helper()
	req := b.Request(method, address, body)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	return b.Do(req)
}

// Post sends a form from a page of the same host.
func (b *Browser) Post(address string, form url.Values) Answer {
	b.t.Helper()
	req := b.Request(http.MethodPost, address, []byte(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", originOf(address))
	return b.Do(req)
}

// Request makes a request with a browser's headers, to be changed before Do.
func (b *Browser) Request(method, address string, body []byte) *http.Request {
	b.t.Helper()
	req, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body == nil {
		req.Body = http.NoBody
		req.ContentLength = 0
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36")
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	return req
}

// Do sends a request.
func (b *Browser) Do(req *http.Request) Answer {
	b.t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		b.t.Fatalf("reading %s: %v", req.URL, err)
	}
	return Answer{res, string(body)}
}

// Cookie is a cookie that the browser holds for an address, "" for none.
func (b *Browser) Cookie(address, name string) string {
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// SignIn signs in with password and, where the account has one, code. It ends the
// test when that does not lead to the page that was asked for.
func (b *Browser) SignIn(p Practice, a Account) {
	b.t.Helper()
	res := b.Post(p.URL+"/.gate/login?rd=/", url.Values{"email": {a.Email}, "password": {a.Password}})
	if res.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("sign-in of %s: %s\n%.400s", a.Email, res.Status, res.Text)
	}
	if a.TOTPSecret != "" && strings.HasPrefix(res.Header.Get("Location"), "/.gate/login/totp") {
		res = b.Post(p.URL+"/.gate/login/totp", url.Values{"code": {b.Code(a.TOTPSecret)}})
		if res.StatusCode != http.StatusSeeOther {
			b.t.Fatalf("code of %s: %s\n%.400s", a.Email, res.Status, res.Text)
		}
	}
	if b.Cookie(p.URL, "__Host-gate") == "" {
		b.t.Fatalf("sign-in of %s set no session cookie", a.Email)
	}
}

// codes remembers the steps that were used, over all browsers: each works once.
var codes = newSteps()

// Code is a code of an authenticator app that was not used before. When the steps
// that the gateway takes are all used up it waits for the next one.
func (b *Browser) Code(secret string) string {
	b.t.Helper()
	step := codes.next(secret)
	code, err := totp.GenerateCode(secret, time.Unix(step*30, 0))
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
