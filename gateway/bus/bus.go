// Package bus tells every node of a change: the feed's rows in the registry are the truth, and each node reads them in
// order. Nodes that share a Redis tell each other there when it is time to look; what is lost there is late by one
// poll, never lost.
package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Kind says what has changed.
type Kind string

// The kinds there are. KindAll is never published: the feed delivers it to its own node when changes may have been
// missed (a node that was cut off for longer than the rows are kept, a registry restored from a backup). Who receives
// it reads everything again.
const (
	KindPolicy   Kind = "policy"
	KindPractice Kind = "practice"
	KindPerson   Kind = "person"
	KindSession  Kind = "session"
	KindKeys     Kind = "keys"
	KindAll      Kind = "all"
)

// Change is one entry of the feed. It names what changed, never how: who receives it reads the new state itself, so a
// change delivered twice or late does no harm.
type Change struct {
	Seq      int64             // set by Publish; rises by one
	At       time.Time         // set by Publish, UTC
	Practice policy.PracticeID // empty: not about one practice
	Kind     Kind
	Ref      string // user id, public session id …; empty: all of the practice
}

const (
	maxRef = 128

	// Interval is the time between two polls: with it a change reaches every node well within a second.
	Interval = 250 * time.Millisecond
	// maxBackOff is the longest pause after failures.
	maxBackOff = 5 * time.Second
	// pollTimeout ends a poll that hangs, so that LastOK tells the truth and the next one gets its turn.
	pollTimeout = 5 * time.Second
	// keepFor is how long rows are kept for nodes that were cut off.
	keepFor = 24 * time.Hour
	// pruneEvery is the time between two prunings.
	pruneEvery = 10 * time.Minute
	// batch bounds the rows read at once.
	batch = 1000
)

// Feed publishes changes and delivers them to this node's subscribers in the order of their numbers, each once (again
// only when the node could not tell whether it had been). It is safe for concurrent use.
type Feed struct {
	reg    *database.DB
	now    func() time.Time
	lastOK atomic.Int64 // unix microseconds, 0 before the first success

	wire      Wire // nil: none
	listening atomic.Bool
	interval  time.Duration
	said      atomic.Int64  // the highest number to announce
	word      atomic.Int64  // the last number heard that was news
	reached   atomic.Int64  // seen, for those who must not wait for mu
	say, look chan struct{} // something to announce; something to read

	mu          sync.Mutex // held while delivering: one at a time, in order
	subscribers []func(Change)
	seen        int64 // the last number delivered
}

// New makes a feed that begins at the present end of the feed. Make it before loading the state it is about, so that
// no change falls between. If the registry cannot be read it begins with the oldest row kept, which costs time and
// loses nothing.
func New(reg *database.DB, now func() time.Time) *Feed {
	if now == nil {
		now = time.Now
	}
	f := &Feed{reg: reg, now: now, interval: Interval, say: make(chan struct{}, 1), look: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
	defer cancel()
	start := now()
	_ = reg.Read(ctx, func(tx *database.Tx) error {
		s, err := readState(ctx, tx)
		if err == nil {
			f.see(s.last)
			f.lastOK.Store(start.UnixMicro())
		}
		return err
	})
	return f
}

// Subscribe adds a handler. Handlers are quick, may be called twice for a change, and must not publish: a feed
// delivers one change at a time. Subscribe before Run.
func (f *Feed) Subscribe(handler func(Change)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers = append(f.subscribers, handler)
}

// LastOK is when this node last read the feed successfully: it knows of every change up to then. Zero: never.
func (f *Feed) LastOK() time.Time {
	us := f.lastOK.Load()
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Publish writes the change and, before it returns, delivers it in this process. When it fails nothing was written.
// While Run runs, the other nodes hear of it by the wire, if there is one.
func (f *Feed) Publish(ctx context.Context, c Change) error {
	var after func()
	err := f.reg.Write(ctx, func(tx *database.Tx) (err error) {
		after, err = f.PublishTx(ctx, tx, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("publishing a change: %w", err)
	}
	after()
	return nil
}

// PublishTx writes the change in a transaction of the caller's on the registry, so that it is published exactly if the
// transaction is kept. Call after once it is: it delivers in this process at once. (Without it the next poll does.)
func (f *Feed) PublishTx(ctx context.Context, tx *database.Tx, c Change) (after func(), err error) {
	if err := check(c); err != nil {
		return nil, err
	}
	c.At = f.now().UTC().Truncate(time.Microsecond)
	if c.Seq, err = insert(ctx, tx, c); err != nil {
		return nil, err
	}
	return func() {
		f.announce(c.Seq)
		f.catchUp(context.WithoutCancel(ctx), c)
	}, nil
}

var errKind = errors.New("publishing a change: unknown kind")

func check(c Change) error {
	switch c.Kind {
	case KindPolicy, KindPractice, KindPerson, KindSession, KindKeys:
	default:
		return errKind
	}
	if c.Practice != "" {
		if _, err := policy.ParsePracticeID(string(c.Practice)); err != nil {
			return fmt.Errorf("publishing a change: %w", err)
		}
	}
	if len(c.Ref) > maxRef {
		return fmt.Errorf("publishing a change: its ref is longer than %d bytes", maxRef)
	}
	return nil
}

// catchUp delivers everything up to the node's own change, others' earlier ones included, so that the order holds. If
// the registry fails at just this moment, the change is delivered all the same: a revocation must not wait. The poll
// will bring it again, in its order.
func (f *Feed) catchUp(ctx context.Context, own Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen >= own.Seq {
		return // somebody else has caught up with it
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := f.poll(ctx); err != nil || f.seen < own.Seq {
		f.deliver(own)
	}
}

// see notes that everything up to seq was delivered; f.mu is held.
func (f *Feed) see(seq int64) {
	f.seen = seq
	f.reached.Store(seq)
}

// deliver calls the subscribers; f.mu is held.
func (f *Feed) deliver(c Change) {
	for _, handler := range f.subscribers {
		handler(c)
	}
}
