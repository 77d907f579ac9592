package connection

import (
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// turns bounds how many handshakes compute at once. Go's scheduler serves goroutines in
// the order in which they became ready: when 500 browsers connect at the same moment,
// the request of somebody who is signed in would wait behind 500 handshakes. So it
// waits behind a few (docs/performance.md, THREATS L5).
type turns chan struct{}

// handshakes are the turns of this process, whatever it listens on: one fewer than there
// are processors, at least one, so that a processor is left for who is signed in.
var handshakes = make(turns, max(1, runtime.GOMAXPROCS(0)-1))

// lease is the longest that a turn lasts. A handshake computes for less than a
// millisecond; one that waits in the middle of it, because the certificate is yet to be
// ordered, must not hold up the others.
const lease = 10 * time.Millisecond

// turnListener makes connections that can take turns.
type turnListener struct{ net.Listener }

func (l turnListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &turnConn{Conn: c}, nil
}

// turnConn is a connection under TLS. While its handshake goes on it has a turn from
// when bytes have come until it waits for the next, or has sent its own: that is when
// the handshake computes. Whoever connects and says nothing never has one.
type turnConn struct {
	net.Conn
	of   turns        // nil outside the handshake
	mine *atomic.Bool // the turn that is held, false when its lease has ended
	end  *time.Timer
}

// begin makes the connection take turns until finish.
func (c *turnConn) begin(of turns) { c.of = of }

func (c *turnConn) finish() {
	c.yield()
	c.of = nil
}

func (c *turnConn) Read(p []byte) (int, error) {
	if c.of == nil {
		return c.Conn.Read(p)
	}
	c.yield()
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.take()
	}
	return n, err
}

func (c *turnConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.of != nil {
		c.yield()
	}
	return n, err
}

// take waits for a turn, which ends with yield or with its lease.
func (c *turnConn) take() {
	of, mine := c.of, new(atomic.Bool)
	of <- struct{}{}
	mine.Store(true)
	c.mine, c.end = mine, time.AfterFunc(lease, func() { of.leave(mine) })
}

func (c *turnConn) yield() {
	if c.mine != nil {
		c.end.Stop()
		c.of.leave(c.mine)
		c.mine = nil
	}
}

// leave gives a turn back, once.
func (t turns) leave(mine *atomic.Bool) {
	if mine.CompareAndSwap(true, false) {
		<-t
	}
}
