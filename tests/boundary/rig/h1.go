package rig

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// Text is a request as HTTP/1.1 writes it.
func (r Request) Text() string {
	r = r.withDefaults()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Target)
	if r.Host != "" {
		fmt.Fprintf(&b, "Host: %s\r\n", r.Host)
	}
	for _, f := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
	}
	switch {
	case len(r.Trailer) > 0:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n")
		if r.Body != "" {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(r.Body), r.Body)
		}
		b.WriteString("0\r\n")
		for _, f := range r.Trailer {
			fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
		}
		b.WriteString("\r\n")
	case r.Body != "":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.Body), r.Body)
	default:
		b.WriteString("\r\n")
	}
	return b.String()
}

func sendH1(t testing.TB, g *harness.Gateway, r Request) Answer {
	t.Helper()
	c := Open(t, g, r.SNI)
	defer c.Close()
	plain := r
	plain.Cookie = "" // it is among the header fields by now
	c.Write(plain.Text())
	return c.Read(r.Method)
}

// Conn is an HTTP/1.1 connection that is written and read byte by byte.
type Conn struct {
	*tls.Conn
	t testing.TB
	r *bufio.Reader
}

// Open opens one with a server name of choice.
func Open(t testing.TB, g *harness.Gateway, serverName string) *Conn {
	t.Helper()
	conn := g.Dial(t, serverName, "http/1.1")
	_ = conn.SetDeadline(time.Now().Add(wait))
	return &Conn{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

// Write writes text. A gateway that has already answered and closed is no failure:
// the answer tells.
func (c *Conn) Write(text string) { _, _ = io.WriteString(c.Conn, text) }

// Read reads one answer and the interim ones before it. Status 0: there is none,
// because the connection was ended.
func (c *Conn) Read(method string) Answer {
	c.t.Helper()
	var interim []Interim
	for {
		res, err := http.ReadResponse(c.r, &http.Request{Method: method})
		if err != nil {
			if isTimeout(err) {
				c.t.Errorf("no answer within %s", wait)
			}
			return Answer{Interim: interim, Closed: true}
		}
		if res.StatusCode/100 == 1 && res.StatusCode != http.StatusSwitchingProtocols {
			interim = append(interim, Interim{res.StatusCode, res.Header})
			continue
		}
		a := Answer{Status: res.StatusCode, Header: res.Header, Interim: interim, Closed: res.Close}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return a
		}
		body, err := io.ReadAll(res.Body)
		if isTimeout(err) {
			c.t.Errorf("the answer does not end within %s", wait)
		}
		a.Text, a.Trailer = string(body), res.Trailer
		return a
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// Ended reports whether the gateway closes the connection without another answer.
func (c *Conn) Ended() bool {
	_ = c.SetReadDeadline(time.Now().Add(wait))
	_, err := c.r.Peek(1)
	return err != nil && !isTimeout(err)
}

// Rest reads until the connection ends.
func (c *Conn) Rest() string {
	text, _ := io.ReadAll(c.r)
	return string(text)
}
