package audit

import (
	"context"
	"errors"
	"sync/atomic"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Append records e in the practice's log. When it returns nil the record is on disk and
// part of the signed chain; otherwise assume that it is not, and let nothing take effect.
// Appends that arrive while a transaction runs share the next one.
//
// Errors match [ErrEvent] (the event itself is wrong), database.ErrMissing (no such
// practice), or database.ErrUnavailable (everything else, ctx included). When ctx ends
// while the event waits, it is taken back; once its transaction has begun it may be
// recorded although the caller is told otherwise.
func (l *Log) Append(ctx context.Context, id policy.PracticeID, e Event) error {
	clean, err := e.clean()
	if err != nil {
		return err
	}
	w := l.acquire(id)
	if w == nil {
		return ErrClosed
	}
	defer w.letGo()
	j := &job{stamped: stamped{clean, l.now()}, done: make(chan error, 1)}
	select {
	case w.queue <- j:
	case <-ctx.Done():
		return unavailable("waiting to record an audit event", ctx.Err())
	}
	w.start()
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
	}
	if j.state.CompareAndSwap(waiting, takenBack) {
		return unavailable("waiting to record an audit event", ctx.Err())
	}
	select { // under way: the answer may just have come
	case err := <-j.done:
		return err
	default:
		return unavailable("recording an audit event", ctx.Err())
	}
}

// AppendTx records events inside a write transaction of the practice's own database, so
// that a change and its record are one: both are there or neither. When the transaction
// has committed, and only then, the caller calls after; the registry's copy of the head
// depends on it. Called without a commit it would make the log believe that records were
// removed.
func (l *Log) AppendTx(ctx context.Context, tx *database.Tx, id policy.PracticeID, events ...Event) (after func(), err error) {
	list := make([]stamped, 0, len(events))
	for _, e := range events {
		clean, err := e.clean()
		if err != nil {
			return nil, err
		}
		list = append(list, stamped{clean, l.now()})
	}
	if l.isClosed() {
		return nil, ErrClosed
	}
	owner, generation := tx.Practice()
	if owner != id { // one practice's events must never stand in another's log (THREATS T6)
		return nil, unavailable("recording an audit event of "+string(id), ErrForeign)
	}
	s, err := l.begin(ctx, id, generation)
	if err != nil {
		return nil, err
	}
	head, err := l.extend(ctx, tx, s, list)
	if err != nil {
		l.stats.fail(l.now(), len(list))
		return nil, unavailable("recording an audit event", err)
	}
	return func() { l.committed(s, head, len(list)) }, nil
}

// States of a job, so that exactly one of writer and caller decides about it.
const (
	waiting int32 = iota
	taken
	takenBack
)

// job is an event on its way to the database.
type job struct {
	stamped
	more  []stamped // further events of the same kind
	kind  jobKind
	lost  int64      // jobNote, jobDrops: how many refusals it speaks of
	done  chan error // nil when nobody waits
	state atomic.Int32
}

type jobKind int8

const (
	jobAppend  jobKind = iota // somebody waits for it
	jobNote                   // a refusal
	jobDrops                  // the record that refusals were dropped
	jobBarrier                // no event: tells Flush that all before it is written
)

// writer is the queue of one practice. It exists while somebody uses it, and has a
// goroutine while something waits in it.
type writer struct {
	log     *Log
	id      policy.PracticeID
	queue   chan *job // events whose callers wait
	notes   chan *job // refusals
	users   int       // calls that hold it; under log.mu
	running bool      // under log.mu
}

// acquire returns the practice's writer, or nil when the log is closed. The caller
// gives it back with letGo.
func (l *Log) acquire(id policy.PracticeID) *writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	w := l.writers[id]
	if w == nil {
		w = &writer{log: l, id: id, queue: make(chan *job, l.opts.Queue), notes: make(chan *job, noteQueue)}
		l.writers[id] = w
	}
	w.users++
	l.work.Add(1)
	return w
}

func (w *writer) letGo() {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.users--
	w.forgetIfIdle()
	w.log.work.Done()
}

// start makes sure that a goroutine serves the queue. The caller holds the writer.
func (w *writer) start() {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	if !w.running {
		w.running = true
		w.log.work.Add(1)
		go w.run()
	}
}

// stop ends the goroutine's turn unless something came in meanwhile: between the last take
// and this lock somebody may have queued a job and seen the writer running.
func (w *writer) stop() bool {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	if len(w.queue)+len(w.notes) > 0 {
		return false
	}
	w.running = false
	w.forgetIfIdle()
	w.log.work.Done()
	return true
}

func (w *writer) forgetIfIdle() {
	if w.users == 0 && !w.running {
		delete(w.log.writers, w.id)
	}
}

func (w *writer) run() {
	for {
		if batch := w.take(); len(batch) > 0 {
			w.write(batch)
		} else if w.stop() {
			return
		}
	}
}

// take returns what waits, at most maxBatch jobs, without those taken back. Callers
// come first; a quarter of the room is for refusals, so that neither starves.
func (w *writer) take() []*job {
	var batch []*job
	for range len(w.queue) {
		if j := <-w.queue; j.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, j)
		}
		if len(batch) == maxBatch*3/4 {
			break
		}
	}
	for range min(len(w.notes), maxBatch/4) {
		batch = append(batch, <-w.notes)
		w.log.folds.waiting.Add(-1)
	}
	return batch
}

// write records a batch in one transaction and tells the callers.
func (w *writer) write(batch []*job) {
	events := make([]stamped, 0, len(batch))
	for _, j := range batch {
		if j.kind != jobBarrier {
			events = append(append(events, j.stamped), j.more...)
		}
	}
	var err error
	if len(events) > 0 {
		ctx, cancel := context.WithTimeout(w.log.ctx, writeTimeout)
		err = w.log.record(ctx, w.id, events)
		cancel()
	}
	if err != nil {
		w.log.lose(w.id, batch, err)
	}
	for _, j := range batch {
		if j.done != nil {
			j.done <- err
		}
	}
}

// record adds events to the practice's chain in a transaction of their own.
func (l *Log) record(ctx context.Context, id policy.PracticeID, events []stamped) error {
	return l.transact(ctx, id, len(events), func(tx *database.Tx, s *turn) (point, error) {
		return l.extend(ctx, tx, s, events)
	})
}

// errRenewed says that the practice's database is of another generation than was thought.
var errRenewed = errors.New("the practice has begun anew")

// transact runs fn in a write transaction on the practice's chain and, only after the
// commit, makes known what it wrote.
func (l *Log) transact(ctx context.Context, id policy.PracticeID, n int, fn func(*database.Tx, *turn) (point, error)) error {
	s, head, err := l.attempt(ctx, id, l.known(id), fn)
	if errors.Is(err, errRenewed) {
		s, head, err = l.attempt(ctx, id, 0, fn)
	}
	if errors.Is(err, errNothing) {
		return err
	}
	if err != nil {
		l.stats.fail(l.now(), n)
		return unavailable("recording an audit event", err)
	}
	l.committed(s, head, n)
	return nil
}

// attempt is one try of transact on the chain of a generation; 0 looks which one it is.
func (l *Log) attempt(ctx context.Context, id policy.PracticeID, generation int64, fn func(*database.Tx, *turn) (point, error)) (s *turn, head point, err error) {
	if generation == 0 {
		if generation, err = l.generation(ctx, id); err != nil {
			return nil, head, err
		}
	}
	if s, err = l.begin(ctx, id, generation); err != nil {
		return nil, head, err
	}
	err = l.db.Practice(id).Write(ctx, func(tx *database.Tx) (err error) {
		if _, there := tx.Practice(); there != s.generation {
			return errRenewed
		}
		head, err = fn(tx, s)
		return err
	})
	return s, head, err
}

// committed takes note of a head that is durable now.
func (l *Log) committed(s *turn, head point, n int) {
	l.stats.appended.Add(int64(n))
	l.stats.damaged.Add(int64(len(s.damaged)))
	for _, reason := range s.damaged {
		l.opts.Alarm("an audit log is damaged: run gateway audit verify", "practice", s.id, "reason", reason)
	}
	l.remember(s, func(m *memory) {
		if head.seq > m.head.seq {
			m.head = head
		}
	})
	replace := ""
	if s.badCopy {
		replace = s.copy
		l.remember(s, func(m *memory) { m.bad = s.copy })
	}
	l.wantCopy(s.id, copyJob{s.generation, head, replace})
}
