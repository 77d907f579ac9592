package rig

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Backend answers each path with bytes of the test's own, and remembers what it was
// asked. What it is not told of gets 200 with an empty body.
type Backend struct {
	Addr string

	mu      sync.Mutex
	answers map[string]string
	seen    []*http.Request
}

// NewBackend listens until the test ends.
func NewBackend(t testing.TB) *Backend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	b := &Backend{Addr: listener.Addr().String(), answers: map[string]string{}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b
}

// Answers makes the backend answer a path with these bytes and close.
func (b *Backend) Answers(path, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[path] = text
}

// Seen is how many requests came in so far.
func (b *Backend) Seen() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

// Last is the newest request.
func (b *Backend) Last() *http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) == 0 {
		return nil
	}
	return b.seen[len(b.seen)-1]
}

func (b *Backend) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	path, _, _ := strings.Cut(req.RequestURI, "?")
	b.mu.Lock()
	b.seen = append(b.seen, req)
	answer, known := b.answers[path]
	b.mu.Unlock()
	if !known {
		answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	}
	_, _ = io.WriteString(conn, answer)
	if strings.HasPrefix(answer, "HTTP/1.1 101") {
		_, _ = io.Copy(io.Discard, in) // a tunnel stays open until the other side ends it
	}
}
