package session

import (
	"context"
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

// Flush writes down when sessions were last seen: one transaction for each 64
// sessions of a practice, one row of the primary key after the other. A session
// that SQL does not find was revoked, and ends here. What cannot be written is kept for the next
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
			m.touched.add(c, true) // who was seen in an outage is known to other nodes soon after it
			return err
		}
		work = work[n:]
	}
	return nil
}

func (m *Manager) flushSome(ctx context.Context, c *cell, batch []*state) error {
	for _, s := range batch {
		s.dirty.Store(false) // before its time is read, so that no later touch is lost
	}
	missing, err := m.writeSeen(ctx, c.id, batch)
	if err != nil {
		for _, s := range batch {
			s.dirty.Store(true)
		}
		return err
	}
	m.stats.flushed.Add(int64(len(batch) - len(missing)))
	var gone []ID
	for _, s := range missing {
		if !s.ended.Swap(true) {
			gone = append(gone, s.id)
		}
	}
	m.revoke(c, gone...)
	return nil
}

// writeSeen returns the sessions that SQL does not know. A practice without a
// database was removed, or its folder is not there: verifyPractice decides when the
// directory says which, and until then nobody is logged out for it.
func (m *Manager) writeSeen(ctx context.Context, p policy.PracticeID, batch []*state) (missing []*state, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	err = m.store.Write(ctx, p, func(tx *database.Tx) error {
		missing = nil
		for _, s := range batch {
			n, err := tx.Exec(ctx, touchSession, s.lastSeen.Load(), string(p), s.id.String())
			if err != nil {
				return err
			}
			if n == 0 {
				missing = append(missing, s)
			}
		}
		return nil
	})
	return missing, m.fail("writing last seen", err)
}
