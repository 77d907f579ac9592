package audit

import (
	"context"

	"clinicgate/policy"
)

// What the tests of package audit_test need to see of the inside.

func CleanEvent(e Event) (Event, error) { return e.clean() }

func Encode(r Record) []byte { return r.encode(nil) }

func (r Record) Sum() Hash { return r.sum() }

var (
	DetailText  = detailText
	ParseDetail = parseDetail
	Inert       = inert
	Harmless    = harmless
)

const PruneBatch = pruneBatch

// Queued is how many events wait for the practice's writer.
func Queued(l *Log, id policy.PracticeID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.writers[id]; w != nil {
		return len(w.queue)
	}
	return 0
}

// Remembered is how many practices l keeps something about.
func Remembered(l *Log) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.writers) + len(l.heads) + len(l.dirty) + len(l.drops) + l.folds.len()
}

// Idle reports whether l has no goroutine and remembers no queue.
func Idle(l *Log) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.keeping && len(l.writers) == 0
}

// Cancelled reports whether Close has given up waiting, or is done.
func Cancelled(l *Log) bool { return l.ctx.Err() != nil }

// Settle waits until the refusals queued so far are written.
func Settle(ctx context.Context, l *Log) error { return l.barrier(ctx) }

// HoldCopies lets no head reach the registry until ReleaseCopies.
func HoldCopies(l *Log) { l.publishing.Lock() }

// ReleaseCopies ends HoldCopies.
func ReleaseCopies(l *Log) { l.publishing.Unlock() }
