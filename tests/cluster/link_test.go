package cluster_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// link is the network between one node and a server: it passes everything on, until it is cut or
// goes silent.
type link struct {
	addr, to string

	mu      sync.Mutex
	cut     bool
	pass    chan struct{} // closed while data passes
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

func newLink(t testing.TB, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{addr: listener.Addr().String(), to: to, pass: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(l.pass)
	l.running.Go(func() { l.serve(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		l.mend()
		l.sever()
		l.running.Wait()
	})
	return l
}

// sever cuts the connections that are open now and refuses new ones until mend.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.conns {
		_ = c.Close()
	}
}

// silence lets no byte through until mend, and tells nobody: what was sent is kept, as networks do.
func (l *link) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass = make(chan struct{})
}

// mend makes it whole again.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
	select {
	case <-l.pass:
	default:
		close(l.pass)
	}
}

func (l *link) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.DialTimeout("tcp", l.to, time.Second)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.keep(client, server) {
			_ = client.Close()
			_ = server.Close()
			continue
		}
		l.running.Go(func() { l.copy(server, client) })
		l.running.Go(func() { l.copy(client, server) })
	}
}

func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	for _, c := range conns {
		l.conns[c] = true
	}
	return true
}

func (l *link) copy(to, from net.Conn) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range []net.Conn{to, from} {
			_ = c.Close()
			delete(l.conns, c)
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		pass := l.pass
		l.mu.Unlock()
		<-pass
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
