package session

import (
	"context"
	"errors"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Kinds of change that concern sessions. A person change covers all sessions of
// that person, a practice change all of the practice. A policy may change limits.
const (
	kindSession  = bus.KindSession
	kindPerson   = bus.KindPerson
	kindPractice = bus.KindPractice
	kindPolicy   = bus.KindPolicy
)

// changed marks what a change concerns as stale and queues its verification. It
// does no I/O, takes time proportional to what is concerned, and is idempotent.
// A change without a practice concerns all of them, as bus.KindAll does: this node
// may have missed something.
func (m *Manager) changed(ch bus.Change) {
	switch ch.Kind {
	case kindSession, kindPerson, kindPractice, kindPolicy, bus.KindAll:
	default:
		return
	}
	if ch.Practice == "" || ch.Kind == bus.KindAll {
		m.cells.Range(func(_, c any) bool { m.stalePractice(c.(*cell)); return true })
		return
	}
	c := m.known(ch.Practice)
	switch {
	case ch.Kind == kindPerson && ch.Ref != "":
		// Also where nothing of theirs is cached: the sessions of somebody disabled
		// are to be gone before they are enabled again.
		m.stalePerson(m.cell(ch.Practice), ch.Ref)
	case c == nil: // nothing of that practice is here
	case ch.Kind == kindPolicy:
		c.limits.Store(nil) // nothing is expired by the old ones
	case ch.Ref == "" || ch.Kind == kindPractice:
		m.stalePractice(c)
	default:
		m.staleSession(c, ch.Ref)
	}
}

func (m *Manager) stalePractice(c *cell) {
	c.limits.Store(nil)
	c.mu.Lock()
	c.noteAll()
	for _, o := range c.owners {
		o.mark()
	}
	c.mu.Unlock()
	m.tasks.add(task{c, taskPractice, ""})
}

func (m *Manager) stalePerson(c *cell, id string) {
	c.mu.Lock()
	c.notePerson(id)
	if o := c.owners[id]; o != nil {
		o.mark()
	}
	c.mu.Unlock()
	m.tasks.add(task{c, taskPerson, id})
}

func (m *Manager) staleSession(c *cell, ref string) {
	id, err := ParseID(ref)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.noteSession(id)
	if s := c.sessions[id]; s != nil {
		s.mark(staleSession)
	}
	c.mu.Unlock()
	m.tasks.add(task{c, taskSession, ref})
}

// mark has the person and all their sessions read again before they are served.
func (o *owner) mark() {
	o.dirty = true
	for _, s := range o.sessions {
		s.mark(stalePerson)
	}
}

func (s *state) mark(f uint32) {
	for l := s.lives; l != nil; l = l.sibling {
		l.set(f)
	}
}

// verifySession asks SQL about one session that changed elsewhere. Ended or
// expired: it is dropped and its streams are cut. Rotated: replaced tokens learn
// when they die. If it cannot be told, streams are cut all the same: they are known
// to rest on something that changed, and their clients come back.
func (m *Manager) verifySession(ctx context.Context, c *cell, ref string) error {
	id, err := ParseID(ref)
	if err != nil {
		return nil
	}
	for range maxRereads {
		w := c.begin()
		again, err := m.verifySessionOnce(ctx, c, w, id)
		c.finish(w)
		if err != nil {
			m.streams.CutSession(c.id, id)
			return err
		}
		if !again {
			return nil
		}
	}
	return errRestless
}

func (m *Manager) verifySessionOnce(ctx context.Context, c *cell, w *watch, id ID) (again bool, err error) {
	asked := m.now().UnixMicro()
	rows, err := m.rows(ctx, c.id, queryByID, string(c.id), id.String())
	if err != nil {
		return false, err
	}
	if len(rows) == 0 {
		m.revoke(c, id)
		return false, nil
	}
	if expired, err := m.expire(ctx, c, rows[0]); expired || err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[id]
	if s == nil {
		return false, nil
	}
	if w.hit(id, s.owner.id) {
		return true, nil
	}
	s.seenAtLeast(rows[0].lastSeen)
	s.checkedAt(asked)
	s.follow(rows)
	return false, nil
}

// follow gives the cached tokens what SQL says of them. Under cell.mu.
func (s *state) follow(rows []*row) {
	for l := s.lives; l != nil; {
		next, found := l.sibling, false
		for _, r := range rows {
			if r.key == l.key {
				l.diesAt.Store(r.diesAt)
				l.clear(staleSession)
				found = true
			}
		}
		if !found {
			s.cell.detach(l)
		}
		l = next
	}
}

// verifyPerson reads a person who changed elsewhere and gives their sessions the
// new picture. Gone or disabled: their sessions end, in SQL too.
func (m *Manager) verifyPerson(ctx context.Context, c *cell, id string) error {
	for range maxRereads {
		w := c.begin()
		again, err := m.verifyPersonOnce(ctx, c, w, id)
		c.finish(w)
		if err != nil {
			m.streams.CutUser(c.id, id)
			return err
		}
		if !again {
			return nil
		}
	}
	return errRestless
}

func (m *Manager) verifyPersonOnce(ctx context.Context, c *cell, w *watch, id string) (again bool, err error) {
	p, err := m.readPerson(ctx, c, id)
	if errors.Is(err, ErrNoPerson) {
		return false, m.shutOut(ctx, c, id)
	}
	if err != nil {
		return false, err
	}
	alive, err := m.verifyIDs(ctx, c, append(c.cachedOf(id), m.streams.sessionsOf(c.id, id)...))
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.owners[id]
	if o == nil {
		return false, nil
	}
	if w.hit(ID{}, id) {
		return true, nil
	}
	c.setPerson(o, p)
	for _, s := range o.sessions {
		if alive[s.id] {
			for l := s.lives; l != nil; l = l.sibling {
				l.clear(stalePerson)
			}
		}
	}
	return false, nil
}

// shutOut ends the sessions and sign-ins in progress of somebody who may not be
// signed in. Every node does it for itself; nothing is published.
func (m *Manager) shutOut(ctx context.Context, c *cell, person string) error {
	ids, err := m.deleteUser(ctx, c.id, person, ID{})
	if err != nil {
		return err
	}
	m.revoke(c, append(ids, append(c.cachedOf(person), m.streams.sessionsOf(c.id, person)...)...)...)
	return nil
}

// verifyPractice asks SQL about all sessions of a practice that are cached or have
// open streams. What is cached stays marked: the next request reads it.
func (m *Manager) verifyPractice(ctx context.Context, c *cell) error {
	_, err := m.verifyIDs(ctx, c, append(c.cached(), m.streams.sessions(c.id)...))
	if err != nil {
		m.streams.CutPractice(c.id)
	}
	return err
}

// verifyIDs asks which sessions exist, and revokes the others. A practice without
// a database has been removed: none exists (THREATS T5).
func (m *Manager) verifyIDs(ctx context.Context, c *cell, ids []ID) (map[ID]bool, error) {
	alive, err := m.exists(ctx, c.id, ids)
	if err != nil && !errors.Is(err, database.ErrMissing) {
		return nil, err
	}
	var gone []ID
	for _, id := range ids {
		if !alive[id] {
			gone = append(gone, id)
		}
	}
	m.revoke(c, gone...)
	return alive, nil
}

// revoke ends here what SQL no longer knows: out of the cache, streams cut.
func (m *Manager) revoke(c *cell, ids ...ID) {
	if len(ids) == 0 {
		return
	}
	m.stats.revoked.Add(int64(len(ids)))
	c.end(ids...)
	for _, id := range ids {
		m.streams.CutSession(c.id, id)
	}
}

// verifyStream has the session behind a stream examined: it was opened with a
// session that is no longer in the cache, where an ending would have found it.
func (m *Manager) verifyStream(practice policy.PracticeID, id ID) {
	m.tasks.add(task{m.cell(practice), taskSession, id.String()})
}

// verifyStreams asks SQL about every session that has an open stream. It finds
// what the feed did not bring: an ending whose process died before it could tell.
func (m *Manager) verifyStreams(ctx context.Context) {
	for _, practice := range m.streams.practices() {
		if ctx.Err() != nil {
			return
		}
		c := m.cell(practice)
		limit, cancel := context.WithTimeout(ctx, loadTimeout)
		_, _ = m.verifyIDs(limit, c, m.streams.sessions(practice)) // the next round asks again
		cancel()
	}
}

func (c *cell) cached() (ids []ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.sessions {
		ids = append(ids, id)
	}
	return ids
}

func (c *cell) cachedOf(person string) (ids []ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.owners[person]; o != nil {
		for _, s := range o.sessions {
			ids = append(ids, s.id)
		}
	}
	return ids
}
