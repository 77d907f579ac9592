package connection

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"clinicgate/modules/answer"
)

// served is a server behind both wrappers, and what they noted.
type served struct {
	addr string
	tls  *tls.Config

	mu    sync.Mutex
	notes []string
}

func (s *served) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes
}

// serve serves with a certificate of httptest's, for example.com.
func serve(t *testing.T, handler http.Handler) *served {
	t.Helper()
	unused := httptest.NewUnstartedServer(nil)
	unused.StartTLS()
	defer unused.Close()
	under, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{addr: under.Addr().String(), tls: unused.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
	s.tls.ServerName = "example.com"
	config := &tls.Config{Certificates: unused.TLS.Certificates, NextProtos: []string{"h2", "http/1.1", "acme-tls/1"}}
	l := newListener(tls.NewListener(turnListener{under}, config), func(host string, from netip.Addr, reason string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, fmt.Sprint(host, " ", from, " ", reason))
	})
	server := &http.Server{Handler: handler, MaxHeaderBytes: 8 << 10, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

// dial speaks a protocol to the server.
func (s *served) dial(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	config := s.tls.Clone()
	config.NextProtos = []string{protocol}
	c, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// TestAnswersWithoutAHandlerHaveHSTS: what net/http writes by itself gets the header, once;
// what a handler wrote is what arrives.
func TestAnswersWithoutAHandlerHaveHSTS(t *testing.T) {
	body := strings.Repeat("HTTP/1.1 404 Not Found\r\n\r\n", 1000)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", answer.HSTS)
		w.Header().Set("Content-Length", strconv.Itoa(len(body))) // no chunks: each write begins as its line does
		for line := range strings.SplitAfterSeq(body, "\n\r\n") {
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"a handler's":       {"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 200},
		"no host":           {"GET / HTTP/1.1\r\n\r\n", 400},
		"no request":        {"\x00\r\n\r\n", 400},
		"folded":            {"GET / HTTP/1.1\r\nHost: example.com\r\nA: b\r\n c\r\n\r\n", 400},
		"too large":         {"GET / HTTP/1.1\r\nHost: example.com\r\nA: " + strings.Repeat("b", 20<<10) + "\r\n\r\n", 431},
		"expectation":       {"POST / HTTP/1.1\r\nHost: example.com\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417},
		"coding":            {"POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: tea\r\n\r\n", 501},
		"version":           {"GET / HTTP/2.0\r\nHost: example.com\r\n\r\n", 505},
		"100, then 200":     {"POST / HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", 200},
		"refused, not last": {"GET / HTTP/1.1\r\nHost: example.com\r\n\r\nGET / HTTP/1.1\r\n A: b\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial(t, "http/1.1")
			go func() { _, _ = io.WriteString(conn, c.text) }()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			for err == nil && res.StatusCode == http.StatusContinue {
				res, err = http.ReadResponse(bufio.NewReader(conn), nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			if got := res.Header.Values("Strict-Transport-Security"); err != nil || res.StatusCode != c.status || len(got) != 1 || got[0] != answer.HSTS {
				t.Errorf("status %d, want %d; HSTS %q; %v", res.StatusCode, c.status, got, err)
			}
			if c.status == http.StatusOK && string(text) != body {
				t.Errorf("the body was changed: %d bytes, want %d", len(text), len(body))
			}
		})
	}
	for _, note := range s.noted() {
		if note != "example.com 127.0.0.1 folded_header_line" {
			t.Errorf("noted %q", note)
		}
	}
}

// TestHTTP2StaysAsItIs: a request over HTTP/2 and one over HTTP/1.1 know of their TLS.
func TestHTTP2StaysAsItIs(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	for protocol, want := range map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"} {
		transport := &http.Transport{TLSClientConfig: s.tls.Clone(), ForceAttemptHTTP2: protocol}
		res, err := (&http.Client{Transport: transport}).Get("https://" + s.addr)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if string(text) != want {
			t.Errorf("served as %s, want %s", text, want)
		}
	}
}

// TestSilentConnectionsKeepNobodyWaiting: 500 that say nothing, or half of a hello.
func TestSilentConnectionsKeepNobodyWaiting(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for n := range 500 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if n%2 == 0 {
			_, _ = c.Write([]byte{22, 3, 1, 2, 0})
		}
	}
	conn := s.dial(t, "http/1.1")
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", res, err)
	}
}

// TestPlainHTTPIsToldToUseHTTPS, and other noise is not answered.
func TestPlainHTTPIsToldToUseHTTPS(t *testing.T) {
	s := serve(t, http.NotFoundHandler())
	for said, want := range map[string]string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n": "HTTP/1.0 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9\r\n": ""} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, said)
		got, _ := io.ReadAll(c)
		if _ = c.Close(); !bytes.HasPrefix(got, []byte(want)) || want == "" && bytes.Contains(got, []byte("HTTP")) {
			t.Errorf("%q was answered %q", said, got)
		}
	}
}

// TestClosedListenerGivesNothingOut: a connection whose handshake ends after that is closed.
func TestClosedListenerGivesNothingOut(t *testing.T) {
	under, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(under, nil) // no TLS: connections are ready at once
	c, err := net.Dial("tcp", under.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes", n)
	}
}

// TestLongHeadHasHSTSOnce: net/http writes the head of an answer in pieces of 4 KiB, and
// the header may stand in a later one.
func TestLongHeadHasHSTSOnce(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", answer.HSTS)
		w.Header().Set("A", strings.Repeat("b", 6<<10)) // names are written in order
	}))
	conn := s.dial(t, "http/1.1")
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Values("Strict-Transport-Security"); len(got) != 1 {
		t.Errorf("HSTS %q, want it once", got)
	}
}

// TestAuthorityGetsNoAnswer: RFC 8737 section 3, acme-tls/1 carries no data.
func TestAuthorityGetsNoAnswer(t *testing.T) {
	s := serve(t, http.NotFoundHandler())
	conn := s.dial(t, "acme-tls/1")
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("answered %q", got)
	}
}

// handed is a listener that accepts what it is given.
type handed struct {
	conns chan net.Conn
	ended chan struct{}
}

func (l handed) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}
func (l handed) Addr() net.Addr { return &net.UnixAddr{Name: "reload", Net: "unix"} }
func (l handed) Close() error   { close(l.ended); return nil }

// TestReloadKeepsHandshakes: what the old config's listener has accepted, and not given
// to its server, is served by the new one.
func TestReloadKeepsHandshakes(t *testing.T) {
	before := handed{make(chan net.Conn), make(chan struct{})}
	old := newListener(before, nil)
	c, peer := net.Pipe()
	defer func() { _ = peer.Close() }()
	before.conns <- c
	next := newListener(handed{make(chan net.Conn), make(chan struct{})}, nil)
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if got, err := old.Accept(); err == nil {
		t.Errorf("the old listener gives out %v", got)
	}
	if got, err := next.Accept(); err != nil || got != c {
		t.Errorf("the new listener gives out %v, %v", got, err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}
