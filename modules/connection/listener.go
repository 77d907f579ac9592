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
	at     *address
	failed chan error
	closed chan struct{}
	close  func() error
}

func newListener(under net.Listener, note noteHead) *listener {
	name := under.Addr().Network() + " " + under.Addr().String()
	l := &listener{Listener: under, note: note, at: listenAt(name), failed: make(chan error), closed: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		_, _ = addresses.Delete(name)
		return under.Close()
	})
	go l.run()
	return l
}

// Accept returns the next connection whose handshake is done.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.at.ready:
		select {
		case <-l.closed:
			go l.at.offer(c)
			return nil, net.ErrClosed
		default:
			return l.watch(c), nil
		}
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// watch stands between net/http and a connection that speaks HTTP/1. Any other is
// left as it is: net/http serves HTTP/2, and ends a certificate authority's
// acme-tls/1, only where nobody has wrapped it.
func (l *listener) watch(c net.Conn) net.Conn {
	secure, ok := c.(*tls.Conn)
	if !ok {
		return c
	}
	state := secure.ConnectionState()
	if p := state.NegotiatedProtocol; p != "" && p != "http/1.1" {
		return c
	}
	return &http1Conn{Conn: secure, refused: func(why error) { l.note(state.ServerName, addrOf(secure), why.Error()) }}
}

// Close ends Accept. Connections that it has not given to anybody are for whoever else
// listens at the address, and are closed when nobody does.
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
	}
	l.at.offer(c)
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
