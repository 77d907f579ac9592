package tls_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// answer is a response with its body read.
type answer struct {
	*http.Response
	text string
}

// trust is a client configuration that names a server.
func (i *install) trust(sni string, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: i.roots, ServerName: sni, NextProtos: protocols}
}

// client speaks one protocol, "h1", "h2" or "h3", on connections that name sni; empty
// names the host of each request.
func (i *install) client(t testing.TB, protocol, sni string) *http.Client {
	t.Helper()
	c := &http.Client{Timeout: wait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if protocol == "h3" {
		transport := &http3.Transport{
			TLSClientConfig: i.trust(sni),
			Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddr(ctx, i.https, c, q)
			},
		}
		t.Cleanup(func() { _ = transport.Close() })
		c.Transport = transport
		return c
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{
		TLSClientConfig: i.trust(sni), Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", i.https)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	c.Transport = transport
	return c
}

// request asks for a path of a host. header holds pairs of names and values.
func request(t testing.TB, method, host, path string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "https://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k := 0; k < len(header); k += 2 {
		req.Header.Set(header[k], header[k+1])
	}
	return req
}

// asPage are the headers of a top-level navigation.
var asPage = []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"}

func do(t testing.TB, c *http.Client, req *http.Request) answer {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatalf("reading %s: %v", req.URL, err)
	}
	return answer{res, string(body)}
}

// raw sends bytes on a connection that names sni, and reads one answer.
func (i *install) raw(t testing.TB, sni, text string) answer {
	t.Helper()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: wait}, Config: i.trust(sni, "http/1.1")}
	conn, err := dialer.Dial("tcp", i.https)
	if err != nil {
		t.Fatalf("TLS as %q: %v", sni, err)
	}
	defer conn.Close()
	return exchange(t, conn, text)
}

// exchange sends bytes on a connection and reads one answer.
func exchange(t testing.TB, conn net.Conn, text string) answer {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(wait))
	go func() { _, _ = io.WriteString(conn, text) }() // a refusal may come before all is sent
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer to %.60q: %v", text, err)
	}
	body, _ := io.ReadAll(res.Body)
	return answer{res, string(body)}
}

// signIn signs the practice's person in and returns the session cookie.
func (i *install) signIn(t testing.TB, host string) *http.Cookie {
	t.Helper()
	form := url.Values{"email": {"reception@" + host}, "password": {password}}
	req := request(t, http.MethodPost, host, "/.gate/login", asPage...)
	req.Body = io.NopCloser(strings.NewReader(form.Encode()))
	req.ContentLength = int64(len(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://"+host)
	res := do(t, i.client(t, "h1", ""), req)
	for _, c := range res.Cookies() {
		if c.Name == "__Host-gate" && c.Value != "" {
			return c
		}
	}
	t.Fatalf("sign-in at %s: %s\n%.300s", host, res.Status, res.text)
	return nil
}
