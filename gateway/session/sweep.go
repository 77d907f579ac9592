package session

import (
	"context"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// idleSlack is how much longer than the idle limit a row stays. Last seen is
// written in batches, so a node may have seen the person later than SQL says.
const idleSlack = 2 * flushEvery

// sweepRound is how long a round over all practices takes, those included that
// nobody uses.
const sweepRound = time.Hour

// Sweep deletes what is over: sessions past a limit, tokens that were replaced,
// sign-ins that were not finished; and takes them out of memory. It visits the
// practices that were used since the last time, those with open streams, and in
// turn a share of all others, and holds a practice's database for short
// transactions only. The error is the last one.
func (m *Manager) Sweep(ctx context.Context) (failed error) {
	m.sweepMemory()
	open := make(map[policy.PracticeID]bool)
	for _, id := range m.streams.practices() {
		open[id] = true
	}
	all := m.allPractices()
	inTurn := m.share(len(all))
	for i, p := range all {
		c := m.known(p.ID)
		used := c != nil && (c.used.Swap(false) || open[p.ID])
		if !p.usable() || !used && !inTurn(i) {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.sweepCell(ctx, m.cell(p.ID), p); err != nil {
			failed = err
		}
	}
	return failed
}

// allPractices returns every practice with its limits of this moment, or without
// Options.Practices those that this node has served, as it last knew them.
func (m *Manager) allPractices() (out []Practice) {
	if m.practices != nil {
		return m.practices()
	}
	m.cells.Range(func(_, c any) bool {
		if limits := c.(*cell).limits.Load(); limits != nil {
			out = append(out, *limits)
		}
		return true
	})
	return out
}

// share tells which of n are next in the round over all practices.
func (m *Manager) share(n int) func(i int) bool {
	if n == 0 {
		return func(int) bool { return false }
	}
	size := min(n, n*int(sweepEvery/time.Second)/int(sweepRound/time.Second)+1)
	from := (int(m.swept.Add(int64(size))) - size) % n
	return func(i int) bool { return (i-from+n)%n < size }
}

// sweepMemory drops entries that no request can be served from any more.
func (m *Manager) sweepMemory() {
	now := m.now().UnixMicro()
	m.cache.each(func(l *Live) {
		s := l.state
		limits, dies := s.cell.limits.Load(), l.diesAt.Load()
		if dies != 0 && now >= dies || limits != nil &&
			(now-s.created >= limits.Absolute.Microseconds() || now-s.lastSeen.Load() >= (limits.Idle+idleSlack).Microseconds()) {
			m.drop(l)
		}
	})
}

const (
	deleteExpired = `DELETE FROM session WHERE practice = $1 AND id IN (
		SELECT id FROM session WHERE practice = $1 AND (last_seen <= $2 OR created <= $3) LIMIT $4) RETURNING id`
	deleteExpiredOne = `DELETE FROM session WHERE practice = $1 AND id = $2 AND (last_seen <= $3 OR created <= $4) RETURNING id`
	deleteDeadTokens = `DELETE FROM session_token WHERE practice = $1 AND dies_at > 0 AND dies_at <= $2`
	deleteOldFlows   = `DELETE FROM flow WHERE practice = $1 AND expires <= $2`
)

// bounds returns the times at which a session must have been seen and made last,
// for its row to be deleted.
func (p Practice) bounds(now time.Time) (seen, created int64) {
	return now.Add(-p.Idle - idleSlack).UnixMicro(), now.Add(-p.Absolute).UnixMicro()
}

func (m *Manager) sweepCell(ctx context.Context, c *cell, limits Practice) error {
	if err := m.flushCell(ctx, c); err != nil { // so that SQL knows what this node knows
		return err
	}
	now := m.now()
	seen, created := limits.bounds(now)
	for {
		ids, err := m.deleteReturning(ctx, c.id, nil, deleteExpired, string(c.id), seen, created, sweepChunk)
		m.over(c, ids...)
		if err != nil {
			return err
		}
		if len(ids) < sweepChunk {
			break
		}
	}
	err := m.store.Write(ctx, c.id, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, deleteDeadTokens, string(c.id), now.UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, deleteOldFlows, string(c.id), now.UnixMicro())
		return err
	})
	return m.fail("sweeping", err)
}

// over ends here what was deleted after its limit.
func (m *Manager) over(c *cell, ids ...ID) {
	if len(ids) == 0 {
		return
	}
	m.stats.expired.Add(int64(len(ids)))
	c.end(ids...)
	for _, id := range ids {
		m.streams.CutSession(c.id, id)
	}
}

// expire deletes one session if its time is over, also by what this node has seen
// and not yet written, and reports whether it was.
func (m *Manager) expire(ctx context.Context, c *cell, r *row) (bool, error) {
	limits := c.limits.Load()
	if limits == nil {
		return false, nil
	}
	seen, created := limits.bounds(m.now())
	if max(r.lastSeen, c.seen(r.id)) > seen && r.created > created {
		return false, nil
	}
	ids, err := m.deleteReturning(ctx, c.id, nil, deleteExpiredOne, string(c.id), r.id.String(), seen, created)
	m.over(c, ids...)
	return len(ids) > 0, err
}
