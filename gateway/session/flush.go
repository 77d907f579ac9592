package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// touchedCells are the practices with something to write, so that an idle practice
// costs nothing.
type touchedCells struct {
	mu    sync.Mutex
	all   map[*cell]struct{}
	early map[*cell]struct{} // to be written within a second
	some  atomic.Bool        // early is not empty
}

func (t *touchedCells) init() {
	t.all = make(map[*cell]struct{})
	t.early = make(map[*cell]struct{})
}

func (t *touchedCells) urgent() bool { return t.some.Load() }

func (t *touchedCells) add(c *cell, early bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[c] = struct{}{}
	if early {
		t.early[c] = struct{}{}
		t.some.Store(true)
	}
}

func (t *touchedCells) take(early bool) (out []*cell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := t.all
	if early {
		from = t.early
	}
	for c := range from {
		out = append(out, c)
		delete(t.all, c)
	}
	clear(t.early)
	t.some.Store(false)
	return out
}

// addTouched queues a session to be written. After a pause of half the idle limit
// that happens within a second, not at the next batch: another node, which knows
// only the old time, would soon call the session idle.
func (c *cell) addTouched(s *state, pause int64) {
	c.touchMu.Lock()
	first := len(c.touched) == 0
	c.touched = append(c.touched, s)
	c.touchMu.Unlock()
	c.used.Store(true)
	limits := c.limits.Load()
	early := limits != nil && pause > limits.Idle.Microseconds()/2
	if first || early {
		c.m.touched.add(c, early)
	}
}

// Flush writes down when sessions were last seen: one UPDATE for each 64 sessions
// of a practice, each in a transaction of its own. A session that the UPDATE does
// not find was revoked, and ends here. What cannot be written is kept for the next
// time; the error is the last one.
func (m *Manager) Flush(ctx context.Context) error { return m.flush(ctx, false) }

// flushWorkers is how many practices are written at once: each waits for its own
// disk, and at 10,000 practices one after the other would take longer than a batch.
const flushWorkers = 4

func (m *Manager) flush(ctx context.Context, early bool) error {
	var (
		next   atomic.Int64
		failed atomic.Pointer[error]
		all    sync.WaitGroup
	)
	cells := m.touched.take(early)
	for range min(flushWorkers, len(cells)) {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(cells); i = next.Add(1) - 1 {
				if err := m.flushCell(ctx, cells[i]); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (m *Manager) flushCell(ctx context.Context, c *cell) (failed error) {
	c.touchMu.Lock()
	work := c.touched
	c.touched = nil
	c.touchMu.Unlock()
	for len(work) > 0 {
		n := min(len(work), flushChunk)
		if err := m.flushSome(ctx, c, work[:n]); err != nil {
			c.touchMu.Lock()
			c.touched = append(c.touched, work...)
			c.touchMu.Unlock()
			m.touched.add(c, false)
			return err
		}
		work = work[n:]
	}
	return nil
}

func (m *Manager) flushSome(ctx context.Context, c *cell, batch []*state) error {
	args := make([]any, 1, 1+2*flushChunk)
	args[0] = string(c.id)
	for i := range flushChunk {
		if i < len(batch) {
			batch[i].dirty.Store(false) // before reading the time, so that no later touch is lost
			args = append(args, batch[i].id.String(), batch[i].lastSeen.Load())
		} else {
			args = append(args, "", 0)
		}
	}
	found, err := m.writeSeen(ctx, c.id, args)
	if err != nil {
		for _, s := range batch {
			s.dirty.Store(true)
		}
		return err
	}
	m.stats.flushed.Add(int64(len(found)))
	var gone []ID
	for _, s := range batch {
		if !found[s.id] && !s.ended.Load() {
			s.ended.Store(true)
			gone = append(gone, s.id)
		}
	}
	m.revoke(c, gone...)
	return nil
}

func (m *Manager) writeSeen(ctx context.Context, p policy.PracticeID, args []any) (map[ID]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	found := make(map[ID]bool)
	err := m.store.Write(ctx, p, func(tx *database.Tx) error {
		clear(found)
		rows, err := tx.Query(ctx, updateSeen, args...)
		return eachID(rows, err, func(id ID) { found[id] = true })
	})
	if errors.Is(err, database.ErrMissing) {
		// Removed, or a folder that is not there: verifyPractice decides when the
		// directory says which. Until then nobody is logged out for it.
		return nil, m.fail("writing last seen", err)
	}
	return found, m.fail("writing last seen", err)
}
