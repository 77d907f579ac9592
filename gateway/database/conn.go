package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
)

// maxStatements bounds the prepared statements of one connection. The program has a constant set of texts, below it;
// texts that are built at run time push others out.
const maxStatements = 128

// conn is one connection with its prepared statements. One transaction uses it at a time.
type conn struct {
	*sql.Conn
	stmts      map[string]*sql.Stmt
	generation int64 // of the practice whose database it has reached
	used       bool  // a transaction has begun on it before
}

// statement returns the connection's prepared statement. No other of its statements may have rows open.
func (c *conn) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if len(c.stmts) >= maxStatements {
		for old, s := range c.stmts { // whichever comes first
			_ = s.Close()
			delete(c.stmts, old)
			break
		}
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// close really closes the connection: its sql.DB keeps none idle. The statements come first: database/sql does not
// know of those of a single connection, and SQLite keeps a transaction's lock as long as one of its statements lives.
func (c *conn) close() error {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	return c.Close()
}

// discard closes a connection that may be in any state.
func (c *conn) discard() {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	_ = c.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.Close()
}

// lane is a small pool of connections of one kind. Waiting for one ends with the context.
type lane struct {
	dial   func(ctx context.Context) (*conn, error)
	tokens chan struct{} // one for each connection that may exist
	keep   int           // how many stay open when nobody uses them

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

func newLane(size, keep int, dial func(ctx context.Context) (*conn, error)) *lane {
	return &lane{dial: dial, tokens: make(chan struct{}, size), keep: keep}
}

var errLaneBusy = errors.New("all connections are in use")

// get returns a connection for the caller's own use; put gives it back.
func (l *lane) get(ctx context.Context) (*conn, error) {
	select {
	case l.tokens <- struct{}{}:
	default:
		wait, cancel := context.WithTimeoutCause(ctx, queueTimeout, errLaneBusy)
		defer cancel()
		select {
		case l.tokens <- struct{}{}:
		case <-wait.Done():
			return nil, context.Cause(wait)
		}
	}
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, nil
	}
	closed := l.closed
	l.mu.Unlock()
	if closed {
		<-l.tokens
		return nil, errClosed
	}
	c, err := l.dial(ctx)
	if err != nil {
		<-l.tokens
		return nil, err
	}
	return c, nil
}

func (l *lane) put(c *conn, broken bool) {
	defer func() { <-l.tokens }()
	if broken {
		c.discard()
		return
	}
	l.mu.Lock()
	if !l.closed && len(l.idle) < l.keep {
		l.idle = append(l.idle, c)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	_ = c.close()
}

func (l *lane) close() {
	l.mu.Lock()
	idle := l.idle
	l.idle, l.closed = nil, true
	l.mu.Unlock()
	for _, c := range idle {
		_ = c.close()
	}
}
