package session

import (
	"context"
	"errors"
	"fmt"
)

// Lookup finds the session that a cookie value opens at a practice. A hit costs no
// I/O, no allocation and no lock but the read lock of one shard; a miss one point
// query, shared by all who ask for the same token; an invented cookie no query.
//
// ErrNone says that there is no such session; ErrUnavailable that it cannot be
// told now. They are never confused: a store that is down is not a logout.
// Lookup does not touch the session; the caller does, where the person acted.
func (m *Manager) Lookup(ctx context.Context, p Practice, cookie string) (*Live, error) {
	if !p.usable() {
		return nil, fmt.Errorf("session: practice %q has no limits: %w", p.ID, ErrUnavailable)
	}
	raw, ok := parse(cookie, prefixToken)
	if !ok {
		return nil, ErrNone
	}
	key := digestOf(domainToken, p.ID, &raw)
	if l := m.cache.get(&key); l != nil {
		switch m.judge(l, &p) {
		case serve:
			if known := l.state.cell.limits.Load(); known == nil || *known != p {
				l.state.cell.remember(p)
			}
			return l, nil
		case over:
			m.drop(l)
			return nil, ErrNone
		case foreign:
			return nil, m.fail("finding a session", errMismatch)
		}
	}
	l, err := m.find(ctx, p, raw, key)
	if errors.Is(err, ErrUnavailable) {
		m.stats.unavailable.Add(1)
	}
	return l, err
}

// find is what memory could not answer. A cookie that nobody was given asks no store.
func (m *Manager) find(ctx context.Context, p Practice, raw body, key digest) (*Live, error) {
	if err := m.checkMark(ctx, p.ID, domainToken, &raw); err != nil {
		return nil, err
	}
	return m.load(ctx, p, key)
}

// finding is what memory says of a cached token. The zero value asks SQL.
type finding int8

const (
	askSQL finding = iota
	serve
	over
	foreign
)

// judge decides from memory. The absolute limit never extends and a replaced token
// never comes back, so these are final. The idle limit is not: another node may
// have seen the person, which SQL knows.
func (m *Manager) judge(l *Live, p *Practice) finding {
	s, now := l.state, m.now().UnixMicro()
	if s.cell.id != p.ID {
		return foreign
	}
	if s.ended.Load() || now-s.created >= p.Absolute.Microseconds() {
		return over
	}
	if dies := l.diesAt.Load(); dies != 0 && now >= dies {
		return over
	}
	if l.check(staleSession|stalePerson) || now-s.lastSeen.Load() >= p.Idle.Microseconds() {
		return askSQL
	}
	if !m.fresh(now, s.checked.Load(), p) {
		return askSQL
	}
	return serve
}

// fresh reports whether what was read at that time is known not to have been
// revoked since, within the practice's outage grace.
func (m *Manager) fresh(now, read int64, p *Practice) bool {
	grace := max(p.OutageGrace, freshFloor).Microseconds()
	return now-read <= grace || now-m.feed.LastOK().UnixMicro() <= grace
}

// drop takes a token out whose time is over. Its streams are left to Run, which
// asks SQL first.
func (m *Manager) drop(l *Live) {
	c := l.state.cell
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.cache.get(&l.key) == l {
		c.detach(l)
	}
}

// load asks SQL, once for all who wait for the same token. Whoever comes first
// reads for all, and goes on when its own request is cancelled.
func (m *Manager) load(ctx context.Context, p Practice, key digest) (*Live, error) {
	c := m.cell(p.ID)
	c.remember(p)
	for range maxRereads {
		own, running := c.enlist(key)
		if running == nil {
			return m.lead(ctx, c, &p, own, key)
		}
		select {
		case <-running.done:
		case <-ctx.Done():
			return nil, m.fail("waiting for a session", ctx.Err())
		}
		// A change may have come between that reading and this request.
		if running.err != nil || m.judge(running.live, &p) == serve {
			return running.live, running.err
		}
	}
	return nil, errRestless
}

// enlist returns the load of this token that is under way, or a new one that the
// caller is to carry out.
func (c *cell) enlist(key digest) (own, running *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if running = c.calls[key]; running != nil {
		return nil, running
	}
	own = &call{done: make(chan struct{}), err: ErrUnavailable}
	c.calls[key] = own
	return own, nil
}

func (m *Manager) lead(ctx context.Context, c *cell, p *Practice, own *call, key digest) (*Live, error) {
	defer func() {
		c.mu.Lock()
		delete(c.calls, key)
		c.mu.Unlock()
		close(own.done)
	}()
	// Another may have been faster between this request's look and its turn.
	if l := m.cache.get(&key); l != nil && m.judge(l, p) == serve {
		own.live, own.err = l, nil
		return l, nil
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	m.stats.misses.Add(1)
	own.live, own.err = m.read(ctx, c, p, key)
	return own.live, own.err
}

// detach gives work that must not stop half way a time limit of its own.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
}

const maxRereads = 8 // when changes keep coming while the session is read

var errRestless = fmt.Errorf("session: it changes faster than it can be read: %w", ErrUnavailable)

func (m *Manager) read(ctx context.Context, c *cell, p *Practice, key digest) (*Live, error) {
	for range maxRereads {
		l, again, err := m.readOnce(ctx, c, p, key)
		if !again {
			return l, err
		}
	}
	return nil, errRestless
}

// readOnce reads the session and its person and enters them into the cache, unless
// a change came between: then it is to be called again.
func (m *Manager) readOnce(ctx context.Context, c *cell, p *Practice, key digest) (l *Live, again bool, err error) {
	w := c.begin()
	defer c.finish(w)
	asked := m.now().UnixMicro()
	r, err := m.byHash(ctx, c.id, key)
	if err != nil {
		return nil, false, err
	}
	if r == nil {
		m.stats.unknown.Add(1)
		m.gone(key)
		return nil, false, ErrNone
	}
	if m.expired(c, r, p) {
		m.gone(key)
		return nil, false, ErrNone
	}
	person, err := m.personOf(ctx, c, p, r.person)
	if errors.Is(err, ErrNoPerson) {
		m.revoke(c, r.id)
		m.tasks.add(task{c, taskPerson, r.person}) // ends their others, in SQL too
		return nil, false, ErrNone
	}
	if err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	if w.hit(r.id, r.person) {
		c.mu.Unlock()
		return nil, true, nil
	}
	l, victim := c.attach(r, person, asked)
	c.mu.Unlock()
	release(victim)
	if l == nil {
		return nil, false, m.fail("finding a session", errMismatch)
	}
	return l, false, nil
}

// gone drops what is cached of a token that SQL does not know, or no longer
// honours, and has its session examined: if that is gone too, its streams are cut.
func (m *Manager) gone(key digest) {
	if l := m.cache.get(&key); l != nil {
		m.drop(l)
		m.tasks.add(task{l.state.cell, taskSession, l.state.id.String()})
	}
}

// expired judges by the later of what SQL and memory have seen.
func (m *Manager) expired(c *cell, r *row, p *Practice) bool {
	now := m.now().UnixMicro()
	if r.diesAt != 0 && now >= r.diesAt || now-r.created >= p.Absolute.Microseconds() {
		return true
	}
	return now-r.lastSeen >= p.Idle.Microseconds() && now-c.seen(r.id) >= p.Idle.Microseconds()
}

// seen is when this node has last seen a session; 0: it has not.
func (c *cell) seen(id ID) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[id]; s != nil {
		return s.lastSeen.Load()
	}
	return 0
}

// personOf returns the snapshot that the person's other sessions use, if it is
// known to be right, and reads the person otherwise. ErrNoPerson: gone or disabled.
func (m *Manager) personOf(ctx context.Context, c *cell, p *Practice, id string) (reading, error) {
	now := m.now().UnixMicro()
	c.mu.Lock()
	if o := c.owners[id]; o != nil && !o.dirty && m.fresh(now, o.read, p) {
		shared := reading{o.person, o.read, o.order}
		c.mu.Unlock()
		return shared, nil
	}
	c.mu.Unlock()
	return m.readPerson(ctx, c, id)
}

// readPerson asks the source. Whoever enters the result into the cache watches
// from before the call.
func (m *Manager) readPerson(ctx context.Context, c *cell, id string) (reading, error) {
	asked, order := m.now().UnixMicro(), m.readings.Add(1)
	p, err := m.people.Person(ctx, c.id, id)
	if errors.Is(err, ErrNoPerson) || err == nil && p.Disabled {
		return reading{}, ErrNoPerson
	}
	if err != nil {
		return reading{}, m.fail("reading a person", err)
	}
	if p.ID != id {
		return reading{}, m.fail("reading a person", errMismatch)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return reading{c.snapshot(p), asked, order}, nil
}
