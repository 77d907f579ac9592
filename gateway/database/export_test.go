package database

import (
	"context"
	"io/fs"
	"time"
)

// OpenWith opens a Set with other migrations than the embedded ones.
func OpenWith(ctx context.Context, o Options, registry, practice fs.FS) (*Set, error) {
	return open(ctx, o, registry, practice)
}

// OpenCopyWith opens a copy with other migrations than the embedded ones.
func OpenCopyWith(ctx context.Context, o Options, registry, practice fs.FS) (*Set, error) {
	return openCopy(ctx, o, registry, practice)
}

// Sweep does now what the janitor does every second.
func (s *Set) Sweep() { s.sweep() }

// Dir is the state folder.
func (s *Set) Dir() string { return s.engine.(*sqliteEngine).dir }

// Relax turns the practice's writer to synchronous=NORMAL, to measure what FULL costs.
func Relax(ctx context.Context, d *PracticeDB) error {
	h, err := d.set.acquire(ctx, d.id)
	if err != nil {
		return err
	}
	defer d.set.release(h)
	c, err := h.store.write.get(ctx)
	if err != nil {
		return err
	}
	defer h.store.write.put(c, false)
	_, err = c.ExecContext(ctx, "PRAGMA synchronous=NORMAL")
	return err
}

// SetAnswerTimeout makes waiting for a begin or a commit shorter, and returns what undoes that.
func SetAnswerTimeout(d time.Duration) (undo func()) {
	before := answerTimeout
	answerTimeout = d
	return func() { answerTimeout = before }
}
