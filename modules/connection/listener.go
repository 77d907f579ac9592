package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// handshakeTimeout bounds a handshake, as long as a request's head may take.
const handshakeTimeout = 10 * time.Second

// noteHead records that a head was refused: the host that TLS names, who sent it, why.
type noteHead func(host string, from netip.Addr, reason string)

// listener makes the handshakes of what it accepts, so that it knows which protocol
// was agreed on before anybody reads. net/http would make them itself, but only of
// connections that nobody has wrapped.
type listener struct {
	net.Listener
	note   noteHead
	ready  chan net.Conn
	failed chan error
	closed chan struct{}
	close  func() error
}

func newListener(under net.Listener, note noteHead) *listener {
	l := &listener{Listener: under, note: note, ready: make(chan net.Conn), failed: make(chan error), closed: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return under.Close()
	})
	go l.run()
	return l
}

// Accept returns the next connection whose handshake is done.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept, and the connections that it has not given to anybody.
func (l *listener) Close() error { return l.close() }

// run accepts until the listener is closed. What fails otherwise, for lack of file
// descriptors for example, is for the server to see: it waits and asks again.
func (l *listener) run() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			select {
			case l.failed <- err:
			case <-l.closed:
				return
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		go l.welcome(c)
	}
}

// welcome makes the handshake and hands the connection over.
func (l *listener) welcome(c net.Conn) {
	if secure, ok := c.(*tls.Conn); ok {
		if err := shake(secure); err != nil {
			tellPlain(err)
			_ = c.Close()
			return
		}
		if state := secure.ConnectionState(); state.NegotiatedProtocol != "h2" {
			c = &http1Conn{Conn: secure, refused: func(why error) { l.note(state.ServerName, addrOf(secure), why.Error()) }}
		}
	}
	select {
	case l.ready <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

// shake makes a handshake, in turns with the others. It has no context to end it: the
// certificate that it may be the first to need is ordered to the end, as the next
// handshake needs it as well.
func shake(c *tls.Conn) error {
	if under, ok := c.NetConn().(*turnConn); ok {
		under.begin(handshakes)
		defer under.finish()
	}
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if err := c.HandshakeContext(context.Background()); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

// tellPlain answers somebody who speaks plain HTTP to the port for TLS.
func tellPlain(err error) {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil {
		return
	}
	switch string(record.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		_, _ = io.WriteString(record.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+
			"This port speaks HTTPS only: write https:// before the address.\n")
	}
}

// addrOf is the address of the peer.
func addrOf(c net.Conn) netip.Addr {
	addr, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return addr.Addr().Unmap()
}
