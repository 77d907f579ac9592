package protocol_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/probe"
)

// TestFoldedHeaderIsRefused is THREATS H5: net/http would join the lines, a backend or a
// proxy may see a header of its own in the second one.
func TestFoldedHeaderIsRefused(t *testing.T) {
	h := "Host: " + host() + "\r\nCookie: __Host-gate=" + sessions.Of(t, gate, "harbour", "admin") + "\r\n"
	for name, text := range map[string]string{
		"a blank":              h + "X-A: b\r\n X-Practice-Id: c\r\n",
		"a tab":                h + "X-A: b\r\n\tX-Practice-Id: c\r\n",
		"many":                 h + "X-A: b\r\n \t \t X-Practice-Id: c\r\n",
		"an empty second line": h + "X-A: b\r\n \r\n",
		"an empty first line":  h + "X-Practice-Id:\r\n c\r\n",
		"the first header":     " X-Practice-Id: c\r\n" + h,
		"the host":             "Host:\r\n " + host() + "\r\n",
		"the cookie":           strings.Replace(h, "Cookie: ", "Cookie:\r\n ", 1),
		"the length":           h + "Content-Length:\r\n 0\r\n",
		"the coding":           h + "Transfer-Encoding:\r\n chunked\r\n",
		"the last line":        h + "X-A: b\r\n  ",
	} {
		t.Run(name, func(t *testing.T) {
			before := gate.Hits(t, "")
			c := rig.Open(t, gate, "harbour.localhost")
			c.Write("GET /api/echo HTTP/1.1\r\n" + text + "\r\n")
			answer := c.Read("GET")
			answer.CheckRefusal(t, http.StatusBadRequest)
			if !answer.Closed || !c.Ended() || gate.Hits(t, "") != before {
				t.Errorf("closed: %t, reached the backend: %t", answer.Closed, gate.Hits(t, "") != before)
			}
		})
	}
	if got := probe.Audited(t, gate, "harbour", "ambiguous_request"); got.Detail["head"] != "folded_header_line" {
		t.Errorf("audited as %+v", got)
	}
}

// TestTwoWaysToSayTheLengthAreRefused is THREATS fact 13: not one of them is believed,
// the request is refused and the connection closed.
func TestTwoWaysToSayTheLengthAreRefused(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	for name, lines := range map[string]string{
		"CL and TE":         "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"TE and CL":         "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"in odd case":       "cOnTeNt-LeNgTh: 5\r\ntRaNsFeR-eNcOdInG: chunked\r\n",
		"CL 0 and TE":       "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
		"CL and TE empty":   "Content-Length: 5\r\nTransfer-Encoding:\r\n",
		"CL and identity":   "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
		"far apart":         "Content-Length: 5\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 500)+"\r\n", 12) + "Transfer-Encoding: chunked\r\n",
		"behind a bare LF":  "Content-Length: 5\r\nX-A: b\nTransfer-Encoding: chunked\r\n",
		"LF alone, a head":  "X-A: b\n",
		"LF alone, the end": "X-A: b\r\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := gate.Hits(t, "")
			c := rig.Open(t, gate, "harbour.localhost")
			c.Write("POST /api/echo HTTP/1.1\r\nHost: " + host() + "\r\nCookie: __Host-gate=" + cookie + "\r\n" + lines + "\r\n0\r\n\r\n")
			answer := c.Read("POST")
			answer.CheckRefusal(t, http.StatusBadRequest)
			if rest := c.Rest(); !answer.Closed || rest != "" || gate.Hits(t, "") != before {
				t.Errorf("closed: %t, then %q, reached the backend: %t", answer.Closed, rest, gate.Hits(t, "") != before)
			}
		})
	}
}

// TestBodyIsNotTakenForAHead: what would be refused in a head passes in a body, and the
// head behind the body is looked at again.
func TestBodyIsNotTakenForAHead(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	body := "first\n second\r\n\tthird\n\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n \r\n"
	request := rig.Request{Host: host(), Cookie: cookie, Method: "POST", Body: body}
	for name, parts := range map[string][]string{
		"at once":          {request.Text()},
		"byte by byte":     strings.Split(request.Text(), ""),
		"line by line":     strings.SplitAfter(request.Text(), "\n"),
		"cut in the end":   cut(request.Text(), "\r\n\r\n", 2),
		"cut at the body":  cut(request.Text(), "\r\n\r\n", 4),
		"cut in the names": cut(request.Text(), "Content-Length", 7),
	} {
		t.Run(name, func(t *testing.T) {
			c := rig.Open(t, gate, "harbour.localhost")
			for range 3 {
				for _, part := range parts {
					c.Write(part)
				}
				if got := c.Read("POST").Echo(t).BodyBytes; got != int64(len(body)) {
					t.Errorf("the backend got %d bytes, want %d", got, len(body))
				}
			}
			c.Write("GET /api/echo HTTP/1.1\r\nHost: " + host() + "\r\nX-A: b\r\n c\r\n\r\n")
			c.Read("GET").CheckRefusal(t, http.StatusBadRequest)
		})
	}
	t.Run("two requests in one piece", func(t *testing.T) {
		c := rig.Open(t, gate, "harbour.localhost")
		c.Write(request.Text() + "GET /api/echo HTTP/1.1\r\nHost: " + host() + "\r\nX-A: b\r\n c\r\n\r\n")
		if got := c.Read("POST").Echo(t).BodyBytes; got != int64(len(body)) {
			t.Errorf("the backend got %d bytes, want %d", got, len(body))
		}
		c.Read("GET").CheckRefusal(t, http.StatusBadRequest)
	})
}

// TestHTTP2NeedsItsALPN: on a connection that agreed on HTTP/1, or on nothing, HTTP/2 is a
// malformed request (RFC 9113 section 3.2). Nobody looks at heads in it.
func TestHTTP2NeedsItsALPN(t *testing.T) {
	for name, protocols := range map[string][]string{"agreed on nothing": nil, "agreed on HTTP/1.1": {"http/1.1"}} {
		t.Run(name, func(t *testing.T) {
			conn := gate.Dial(t, "harbour.localhost", protocols...)
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || res.StatusCode != http.StatusBadRequest {
				t.Errorf("%v, %v", res, err)
			}
		})
	}
}

// cut cuts a text behind the n-th byte of mark.
func cut(text, mark string, n int) []string {
	at := strings.Index(text, mark) + n
	return []string{text[:at], text[at:]}
}

// TestUpgradedConnectionIsLeftAlone: frames of a WebSocket are no heads, whatever bytes
// they are made of.
func TestUpgradedConnectionIsLeftAlone(t *testing.T) {
	c := rig.Open(t, gate, "harbour.localhost")
	c.Write("GET /ws HTTP/1.1\r\nHost: " + host() + "\r\nCookie: __Host-gate=" + sessions.Of(t, gate, "harbour", "admin") +
		"\r\nOrigin: https://" + host() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if answer := c.Read("GET"); answer.Status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want 101: %q", answer.Status, answer.Text)
	}
	text := "a\n b\r\n\tc\n\nHTTP/1.1 400 no answer of ours\r\n\r\n"
	for n := range 3 {
		c.Write(string(masked(text)))
		if got, err := frameText(bufio.NewReader(c.Conn)); err != nil || got != text {
			t.Fatalf("echo %d: %q, %v", n, got, err)
		}
	}
}

// masked is a text frame of a client with the mask 0.
func masked(text string) []byte {
	return slices.Concat([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, []byte(text))
}

// frameText reads one short frame of a server.
func frameText(r *bufio.Reader) (string, error) {
	head := make([]byte, 2)
	for n := range head {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		head[n] = b
	}
	if head[0] != 0x81 || head[1] > 125 {
		return "", fmt.Errorf("unexpected frame %x", head)
	}
	text := make([]byte, head[1])
	for n := range text {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		text[n] = b
	}
	return string(text), nil
}
