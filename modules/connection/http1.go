package connection

import (
	"bytes"
	"crypto/tls"
	"sync/atomic"

	"clinicgate/modules/answer"
)

// http1Conn is a TLS connection that speaks HTTP/1. It refuses heads that net/http
// would read and others may read differently, and gives the few answers that net/http
// writes by itself, before any handler runs, the HSTS header that every other has.
//
// It reads what comes, it never changes it. Where it should see the end of a message
// elsewhere than net/http, the worst is a refusal, or a head that goes by unwatched.
type http1Conn struct {
	*tls.Conn
	refused func(why error)

	watch framing
	held  []byte // behind the end of a head; has come and is not read yet
	err   error  // why this connection reads nothing any more

	unwatched  atomic.Bool // until its end: another protocol, or a body whose end only net/http sees
	unanswered atomic.Bool // a head came, and not one byte of its answer was written
}

// Read never returns bytes of two messages at once, so that what is written belongs to
// the head that was read last. net/http reads one byte ahead while it answers, to learn
// that the peer has gone: a head has come when its second byte has.
func (c *http1Conn) Read(p []byte) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.held) > 0:
		return c.take(p)
	}
	n, err := c.Conn.Read(p)
	if n == 0 || c.unwatched.Load() {
		return n, err
	}
	whole := c.scan(p[:n])
	if whole < n {
		c.held = bytes.Clone(p[whole:n])
	}
	if whole == 0 {
		return 0, c.err
	}
	return whole, err
}

// take reads what is held.
func (c *http1Conn) take(p []byte) (int, error) {
	n := copy(p, c.held)
	if !c.unwatched.Load() {
		n = c.scan(p[:n])
	}
	c.held = c.held[n:]
	if n == 0 {
		return 0, c.err
	}
	return n, nil
}

// scan watches bytes go by and returns how many of them belong to this message. What
// makes it refuse a head is the error of the next Read: in the middle of a head
// net/http answers that with 400 and closes, before one it closes without a word.
func (c *http1Conn) scan(p []byte) int {
	inHead, seen := c.watch.inHead(), c.watch.headBytes
	n, err := c.watch.pass(p)
	if inHead && seen+n > 1 {
		c.unanswered.Store(true)
	}
	if c.watch.opaque {
		c.unwatched.Store(true)
	}
	if err != nil {
		c.err = err
		c.refused(err)
	}
	return n
}

// Write sees to the first bytes of each answer.
func (c *http1Conn) Write(p []byte) (int, error) {
	if !c.unanswered.Load() || bytes.HasPrefix(p, []byte("HTTP/1.1 1")) && !bytes.HasPrefix(p, []byte("HTTP/1.1 101")) {
		return c.Conn.Write(p) // the middle of an answer, or a word before it: 100 Continue
	}
	c.unanswered.Store(false)
	if bytes.HasPrefix(p, []byte("HTTP/1.1 101")) {
		c.unwatched.Store(true)
		return c.Conn.Write(p)
	}
	line, end := bytes.Index(p, []byte("\r\n")), bytes.Index(p, []byte("\r\n\r\n"))
	if !bytes.HasPrefix(p, []byte("HTTP/1.")) || end < 0 || bytes.Contains(p[:end], []byte("\r\nStrict-Transport-Security: ")) {
		return c.Conn.Write(p) // net/http writes a head of its own in one piece: a longer one is a handler's, which sees to it
	}
	with := append(bytes.Clone(p[:line]), "\r\nStrict-Transport-Security: "+answer.HSTS...)
	n, err := c.Conn.Write(append(with, p[line:]...))
	return max(0, min(n-len(with)+line, len(p))), err
}
