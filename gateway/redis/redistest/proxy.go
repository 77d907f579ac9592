package redistest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands between a client and the server.
type Proxy struct {
	URL   string // to use instead of the server's
	to    string
	delay atomic.Int64

	end     chan struct{}
	running sync.WaitGroup
}

// Proxy passes everything on to the server, until the test ends.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "redis://" + l.Addr().String(), to: s.Addr(), end: make(chan struct{})}
	p.running.Go(func() { p.serve(l) })
	t.Cleanup(func() {
		_ = l.Close()
		close(p.end)
		p.running.Wait()
	})
	return p
}

// Slow makes each piece of the server's replies late by delay, from now on.
func (p *Proxy) Slow(delay time.Duration) { p.delay.Store(int64(delay)) }

func (p *Proxy) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		closeBoth := sync.OnceFunc(func() { _ = client.Close(); _ = server.Close() })
		p.running.Go(func() { defer closeBoth(); p.pass(server, client, false) })
		p.running.Go(func() { defer closeBoth(); p.pass(client, server, true) })
		p.running.Go(func() { <-p.end; closeBoth() })
	}
}

func (p *Proxy) pass(to, from net.Conn, late bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if delay := p.delay.Load(); late && delay > 0 {
			select {
			case <-time.After(time.Duration(delay)):
			case <-p.end:
				return
			}
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
