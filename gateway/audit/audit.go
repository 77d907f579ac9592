// Package audit keeps one tamper-evident log for each practice, in that practice's
// own database.
//
// The records form a hash chain. Every transaction that adds records also signs the
// new end of the chain (the head) with the practice's checkpoint key, and a copy of
// the newest head goes to the registry database within a second. So each of these is
// found by [Log.Verify]: a row that was altered, deleted, inserted or moved (the
// hashes), rows cut from the end (the head), a chain recomputed by somebody without
// the key (the signature), and an older copy of the whole file put back (the copy in
// the registry). The log goes on after such damage, so that no clinic stands still, but
// it never covers it up: the chain continues from the newest place that was signed,
// which leaves the hole where it is, and the damage itself is recorded.
//
// What this cannot find: somebody who puts back both databases to the same older
// state, or who holds the master key. Back up the registry before the practices, never
// after: a registry that is newer than a practice's restored file says, rightly, that
// records are missing.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Keys gives the key with which a practice's checkpoints are signed: a vault.Vault.
type Keys interface {
	CheckpointKey(ctx context.Context, id policy.PracticeID) (note.Signer, note.Verifier, error)
}

// Options are what a Log needs. DB and Vault are required.
type Options struct {
	DB    *database.Set
	Vault Keys
	Now   func() time.Time // default time.Now

	Queue  int           // events that may wait for one practice's writer before Append blocks; default 1024
	Window time.Duration // for which repeats of a refusal are folded at first; default 10 s
	Poll   time.Duration // between two looks of Follow; default 500 ms

	// Alarm is told what an operator must look at, in the form of slog.Logger.Error: no
	// word in it comes from a client. It must not block. Default: nobody.
	Alarm func(message string, args ...any)
}

// Bounds that are not worth an option.
const (
	maxBatch        = 256              // events in one transaction
	noteQueue       = 256              // refusals, and bundles of summaries, that may wait for one practice
	maxNotes        = 8192             // and in all; a record is at most 4 KiB
	summariesPerJob = 32               // in one bundle
	writeTimeout    = 15 * time.Second // for one transaction
	keeperPeriod    = 400 * time.Millisecond
	alarmPeriod     = time.Minute // between two alarms about the same outage
)

// ErrClosed is matched when the log was closed. It also matches database.ErrUnavailable:
// for the caller both mean that nothing was recorded, so nothing may take effect.
var ErrClosed = fmt.Errorf("the audit log is closed: %w", database.ErrUnavailable)

// Log writes and reads the audit logs of all practices. It is safe for concurrent use,
// and another process may write to the same databases at the same time.
//
// It has no goroutine while nothing is to be done: one writer per practice runs while
// events wait, one keeper while a checkpoint or a folded refusal is still to be written.
type Log struct {
	db    *database.Set
	keys  Keys
	clock func() time.Time
	opts  Options

	ctx    context.Context // ends when Close gives up waiting
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	work    sync.WaitGroup // appends and writers; Add only under mu and before closed
	writers map[policy.PracticeID]*writer
	heads   map[policy.PracticeID]*memory
	dirty   map[policy.PracticeID]copyJob // heads the registry does not have yet
	drops   map[policy.PracticeID]int64   // refusals that were dropped and not yet noted
	keeping bool                          // the keeper runs
	keepers sync.WaitGroup                // Add only under mu and before closed

	publishing sync.Mutex // see publish

	folds *folder
	stats counters
}

// New returns a log. It panics without a database or keys: a gateway without an auditor
// must not start.
func New(o Options) *Log {
	if o.DB == nil || o.Vault == nil {
		panic("audit.New: DB and Vault are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Window <= 0 {
		o.Window = 10 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Alarm == nil {
		o.Alarm = func(string, ...any) {}
	}
	l := &Log{
		db: o.DB, keys: o.Vault, clock: o.Now, opts: o,
		writers: make(map[policy.PracticeID]*writer),
		heads:   make(map[policy.PracticeID]*memory),
		dirty:   make(map[policy.PracticeID]copyJob),
		drops:   make(map[policy.PracticeID]int64),
		folds:   newFolder(),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// now is the time as the log stores it.
func (l *Log) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }

// Flush writes what is waiting: folded refusals, the note of dropped ones, and the
// registry's copies of the heads. It returns when all that is durable, or with the first
// error. It does not close the log.
func (l *Log) Flush(ctx context.Context) error {
	l.release(l.folds.all())
	l.noteDrops()
	if err := l.barrier(ctx); err != nil {
		return err
	}
	return l.publish(ctx)
}

// Close flushes, waits for the appends under way, and ends the log: every later call
// that writes fails with [ErrClosed]. When ctx ends first, the transactions under way
// are rolled back and their callers told so. Closing twice is no error.
func (l *Log) Close(ctx context.Context) error {
	l.release(l.folds.close())
	l.noteDrops()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.drain(ctx)
	err = errors.Join(err, l.publish(ctx))
	l.cancel()
	l.work.Wait() // quick now: the context of every statement has ended
	l.keepers.Wait()
	return err
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// drain waits until no append and no writer is under way.
func (l *Log) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { l.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return unavailable("waiting for the audit log", ctx.Err())
	}
}

// unavailable wraps err so that it matches database.ErrUnavailable, unless it is the
// practice that does not exist.
func unavailable(doing string, err error) error {
	if errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrMissing) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, database.ErrUnavailable, err)
}
