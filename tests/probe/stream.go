package probe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// Stream is an open WebSocket, event stream or download.
type Stream struct {
	Kind  string
	conn  net.Conn
	over  chan struct{}
	moved chan struct{} // something arrived since it was last asked
}

// Streams opens one of each kind with a session cookie.
func Streams(t testing.TB, g *harness.Gateway, p harness.Practice, session string) []*Stream {
	t.Helper()
	return []*Stream{
		open(t, g, p, "websocket", "/ws", session, http.StatusSwitchingProtocols),
		open(t, g, p, "event stream", "/events", session, http.StatusOK),
		open(t, g, p, "download", "/download?bytes=400000000&rate=100000", session, http.StatusOK),
	}
}

func open(t testing.TB, g *harness.Gateway, p harness.Practice, kind, path, session string, want int) *Stream {
	t.Helper()
	conn := g.Dial(t, p.Host(), "http/1.1")
	head := "GET " + path + " HTTP/1.1\r\nHost: " + p.URL[len("https://"):] + "\r\nCookie: " + Session + "=" + session + "\r\n"
	if kind == "websocket" {
		head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: " + p.URL + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatalf("opening a %s: %v", kind, err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != want {
		t.Fatalf("opening a %s: %v %v", kind, res, err)
	}
	s := &Stream{Kind: kind, conn: conn, over: make(chan struct{}), moved: make(chan struct{}, 1)}
	go s.read(in)
	return s
}

func (s *Stream) read(in io.Reader) {
	defer close(s.over)
	buffer := make([]byte, 32<<10)
	for {
		if _, err := in.Read(buffer); err != nil {
			return
		}
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
}

// Alive fails the test unless something still comes through.
func (s *Stream) Alive(t testing.TB) {
	t.Helper()
	select {
	case <-s.moved:
	default:
	}
	if s.Kind == "websocket" {
		// A masked text frame "hi" (RFC 6455 section 5.2), which the backend echoes.
		if _, err := s.conn.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}); err != nil {
			t.Errorf("%s: writing: %v", s.Kind, err)
			return
		}
	}
	select {
	case <-s.moved:
	case <-s.over:
		t.Errorf("%s was closed", s.Kind)
	case <-time.After(5 * time.Second):
		t.Errorf("%s: nothing comes through", s.Kind)
	}
}

// CutWithin fails the test unless the stream ends within the time.
func (s *Stream) CutWithin(t testing.TB, limit time.Duration) {
	t.Helper()
	select {
	case <-s.over:
	case <-time.After(limit):
		t.Errorf("%s is still open after %s", s.Kind, limit)
	}
}

// String names the stream.
func (s *Stream) String() string { return fmt.Sprint(s.Kind) }

// Arrived waits until a backend has been asked.
func Arrived(t testing.TB, asked <-chan string) {
	t.Helper()
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatal("the backend was not asked")
	}
}

// Ends fails the test unless the exchange is over within the time: with a refusal, or
// by the end of the connection in the middle of an answer.
func Ends(t testing.TB, name string, in *bufio.Reader, limit time.Duration) {
	t.Helper()
	over := make(chan string, 1)
	go func() {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			over <- ""
			return
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err == nil && res.StatusCode/100 == 2 {
			over <- "it was answered " + res.Status
			return
		}
		over <- ""
	}()
	select {
	case wrong := <-over:
		if wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	case <-time.After(limit):
		t.Errorf("%s is still open after %s", name, limit)
	}
}
