package database

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"
)

const (
	queueTimeout    = 10 * time.Second // longest wait for a connection inside this process
	rollbackTimeout = 5 * time.Second
)

// answerTimeout is the longest wait for a begin or a commit: longer than a server's own limits.
var answerTimeout = 15 * time.Second

// store is one open database: one connection that writes, a few that read.
type store struct {
	engine engine
	target target
	opened *opened
	write  *lane
	read   *lane
	lost   atomic.Bool // a connection found another database in the place of this one, or none
}

// openStore opens the database, checks whose it is and brings its schema up to date. Readers are dialled when needed.
func openStore(ctx context.Context, e engine, t target, readers int) (*store, error) {
	o, err := e.open(ctx, t)
	if err != nil {
		return nil, outage("opening the "+t.String(), err)
	}
	s := &store{engine: e, target: t, opened: o}
	s.write = newLane(1, 1, func(ctx context.Context) (*conn, error) { return s.dial(ctx, true) })
	s.read = newLane(readers, 2, func(ctx context.Context) (*conn, error) { return s.dial(ctx, false) })
	if err := s.begin(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// begin dials the writer, migrating first when the schema is old.
func (s *store) begin(ctx context.Context) error {
	c, err := s.write.get(ctx)
	if errors.Is(err, errSchemaOld) {
		if err := migrate(ctx, s.engine, s.target, s.opened.db); err != nil {
			return s.outage("migrating", err)
		}
		c, err = s.write.get(ctx)
	}
	if err != nil {
		return s.outage("opening", err)
	}
	s.target.generation = c.generation // which every later connection must find too
	s.write.put(c, false)
	return nil
}

// dial makes a connection and checks on it whose database it has reached: at every dial, since the file may have been
// exchanged after the last one.
func (s *store) dial(ctx context.Context, write bool) (*conn, error) {
	raw, err := s.opened.db.Conn(ctx)
	if err != nil {
		if s.target.practice != "" && isGone(err) {
			s.lost.Store(true)
			return nil, missing(s.target)
		}
		return nil, err
	}
	c := &conn{Conn: raw, stmts: make(map[string]*sql.Stmt)}
	t, err := checkMeta(ctx, raw, s.target)
	if err == nil {
		err = s.engine.setup(ctx, raw, write)
	}
	if err == nil {
		err = s.opened.stale() // looked at last: a removal that begins now waits for this connection
	}
	if err != nil {
		s.lost.Store(errors.Is(err, ErrSwapped))
		c.discard()
		return nil, err
	}
	c.generation = t.generation
	return c, nil
}

func (s *store) judge(doing string, err error) error {
	return judge(s.engine, doing+" the "+s.target.String(), err)
}

// outage is judge for what happens outside the caller's function: never the caller's fault.
func (s *store) outage(doing string, err error) error {
	return outage(doing+" the "+s.target.String(), err)
}

// transact runs fn in one transaction and leaves the connection clean whatever happens, a panic of fn included.
func (s *store) transact(ctx context.Context, l *lane, write bool, fn func(*Tx) error) (err error) {
	doing := "reading"
	if write {
		doing = "writing"
	}
	c, err := s.start(ctx, l, write)
	if err != nil {
		return s.outage(doing, err)
	}
	broken := true
	defer func() { l.put(c, broken) }()
	tx := &Tx{store: s, conn: c}
	defer tx.finish() // for a panic of fn
	ferr := fn(tx)
	if terr := tx.finish(); ferr == nil {
		ferr = terr
	}
	if ferr == nil {
		ferr = ctx.Err()
	}
	if ferr != nil {
		broken = s.engine.classify(ferr) == classBroken || c.rollback() != nil
		return s.judge(doing, ferr)
	}
	// From here the caller's context no longer counts: a commit is carried through, so that its outcome is known. A
	// server that stands still must not hold the caller for ever, though.
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	if err := c.run(final, "COMMIT"); err != nil {
		broken = true
		return s.outage(doing, err)
	}
	broken = false
	return nil
}

// start begins a transaction. A connection that lay idle may have ended meanwhile (a server that was restarted, a network
// that forgot it): nothing has been done on it yet, so that the next one is tried.
func (s *store) start(ctx context.Context, l *lane, write bool) (*conn, error) {
	for {
		c, err := l.get(ctx)
		if err != nil {
			return nil, err
		}
		if err = s.begun(ctx, c, write); err == nil {
			c.used = true
			return c, nil
		}
		broken := s.engine.classify(err) == classBroken || c.rollback() != nil
		again := broken && c.used && ctx.Err() == nil
		l.put(c, broken)
		if !again {
			return nil, err
		}
	}
}

func (s *store) begun(ctx context.Context, c *conn, write bool) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return s.engine.begin(ctx, c, write)
}

func (c *conn) run(ctx context.Context, statement string) error {
	st, err := c.statement(ctx, statement)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(ctx)
	return err
}

// rollback ends the transaction. The engine may have ended it already, and then says so with an error; a plain
// statement tells whether the connection is still good.
func (c *conn) rollback() error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	if c.run(ctx, "ROLLBACK") == nil {
		return nil
	}
	if err := c.run(ctx, "BEGIN"); err != nil {
		return err
	}
	return c.run(ctx, "ROLLBACK")
}

func (s *store) close() {
	s.read.close()
	s.write.close()
	_ = s.opened.db.Close()
}
