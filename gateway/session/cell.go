package session

import (
	"strings"
	"sync"
	"sync/atomic"

	"clinicgate/policy"
)

// cell is what a node holds of one practice: its cached sessions by public id and
// by person, so that a change finds them in time proportional to what it concerns.
// Look-ups that hit do not come here. Locks are taken in the order cell, shard.
type cell struct {
	id     policy.PracticeID
	m      *Manager
	limits atomic.Pointer[Practice] // as the last look-up gave them; nil: not known
	used   atomic.Bool              // since the last sweep

	mu       sync.Mutex
	sessions map[ID]*state
	owners   map[string]*owner
	calls    map[digest]*call    // loads under way, shared by who waits for them
	watches  map[*watch]struct{} // readings of SQL under way
	roles    map[string][]string // one slice for each set of roles

	touchMu sync.Mutex
	touched []*state
}

// owner is a person with cached sessions, and the snapshot that these share.
type owner struct {
	id       string
	person   *Person
	read     int64 // when the person was read
	order    int64 // which reading that was
	dirty    bool  // the feed said that the person changed since
	sessions []*state
	one      [1]*state // where sessions begins
}

// call is one load that several requests may wait for.
type call struct {
	done chan struct{}
	live *Live
	err  error
}

func newCell(m *Manager, id policy.PracticeID) *cell {
	return &cell{
		id:       id,
		m:        m,
		sessions: make(map[ID]*state),
		owners:   make(map[string]*owner),
		calls:    make(map[digest]*call),
		watches:  make(map[*watch]struct{}),
		roles:    make(map[string][]string),
	}
}

// remember keeps the practice's limits for what happens outside requests.
func (c *cell) remember(p Practice) {
	c.used.Store(true)
	if old := c.limits.Load(); old == nil || *old != p {
		c.limits.Store(&p)
	}
}

// reading is a person's snapshot, when it was asked for and as which. Clocks may be
// set back; the order tells which of two is the newer.
type reading struct {
	person *Person
	at     int64
	order  int64
}

// attach enters what SQL said of one token into the cache; checked is when SQL was
// asked. Under cell.mu. The victim is to be released once the lock is gone. It
// returns nil if the row contradicts what is cached, which no correct store does
// (THREATS T6).
func (c *cell) attach(r *row, p reading, checked int64) (l *Live, victim *Live) {
	s := c.sessions[r.id]
	if s == nil {
		s = c.newState(r, p.person)
	} else if s.owner.id != r.person || s.created != r.created {
		return nil, nil
	}
	s.seenAtLeast(r.lastSeen)
	s.checkedAt(checked)
	c.setPerson(s.owner, p)
	if l = s.find(r.key); l == nil {
		l = &Live{key: r.key, state: s, sibling: s.lives, held: r.held, amr: internText(r.amr)}
		l.view.Store(newView(s.owner.person, r.provedAt(), r.held))
		s.lives = l
	}
	l.diesAt.Store(r.diesAt)
	l.clear(staleSession | stalePerson | detached)
	return l, c.m.cache.put(l)
}

func (c *cell) newState(r *row, p *Person) *state {
	o := c.owners[r.person]
	if o == nil {
		o = &owner{id: p.ID}
		o.sessions = o.one[:0]
		c.owners[o.id] = o
	}
	s := &state{id: r.id, cell: c, owner: o, created: r.created, addr: r.addr, agent: internText(r.agent), slot: len(o.sessions)}
	o.sessions = append(o.sessions, s)
	c.sessions[s.id] = s
	return s
}

// setPerson gives all sessions of a person the new snapshot, unless a newer one is
// there. Under cell.mu.
func (c *cell) setPerson(o *owner, p reading) {
	if o.person != nil && p.order < o.order {
		return
	}
	o.read, o.order, o.dirty = p.at, p.order, false
	if o.person == p.person {
		return
	}
	o.person = p.person
	for _, s := range o.sessions {
		for l := s.lives; l != nil; l = l.sibling {
			l.setPerson(p.person)
		}
	}
}

// snapshot makes the shared copy of a person. Under cell.mu.
func (c *cell) snapshot(p Person) *Person {
	p.ID, p.Email, p.Name = inOnePiece(p.ID, p.Email, p.Name)
	p.Roles = c.internRoles(p.Roles)
	if o := c.owners[p.ID]; o != nil && o.person != nil && samePerson(o.person, &p) {
		return o.person // what was prepared stays good
	}
	return &p
}

// inOnePiece copies three texts into one piece of memory: of a million people's the
// garbage collector has to find every piece.
func inOnePiece(a, b, c string) (string, string, string) {
	all, n, m := a+b+c, len(a), len(a)+len(b)
	return all[:n], all[n:m], all[m:]
}

const maxRoleSets = 1024 // of one practice; beyond that they are not shared

func (c *cell) internRoles(roles []string) []string {
	joined := strings.Join(roles, "\x00")
	if known, ok := c.roles[joined]; ok {
		return known
	}
	own := make([]string, len(roles))
	for i, r := range roles {
		own[i] = strings.Clone(r)
	}
	if len(c.roles) < maxRoleSets {
		c.roles[joined] = own
	}
	return own
}

func samePerson(a, b *Person) bool {
	if len(a.Roles) != len(b.Roles) {
		return false
	}
	for i := range a.Roles {
		if a.Roles[i] != b.Roles[i] {
			return false
		}
	}
	return a.ID == b.ID && a.Email == b.Email && a.Name == b.Name && a.Disabled == b.Disabled &&
		a.HasSecondFactor == b.HasSecondFactor && a.HasPhishingResistant == b.HasPhishingResistant &&
		a.GraceUntil.Equal(b.GraceUntil)
}

// detach takes one token out of the cache. Under cell.mu.
func (c *cell) detach(l *Live) {
	c.m.cache.remove(l)
	l.set(detached)
	s := l.state
	for at := &s.lives; *at != nil; at = &(*at).sibling {
		if *at == l {
			*at = l.sibling
			break
		}
	}
	if s.lives == nil {
		c.forget(s)
	}
}

// forget takes a session without cached tokens out of the indexes. Under cell.mu.
func (c *cell) forget(s *state) {
	if c.sessions[s.id] != s {
		return
	}
	delete(c.sessions, s.id)
	o := s.owner
	last := len(o.sessions) - 1
	o.sessions[s.slot] = o.sessions[last]
	o.sessions[s.slot].slot = s.slot
	o.sessions[last] = nil
	o.sessions = o.sessions[:last]
	if last == 0 {
		delete(c.owners, o.id)
	}
}

// release detaches what had to make room. Under no lock. If the same token was
// loaded again meanwhile it is in the cache, and stays.
func release(victim *Live) {
	if victim == nil {
		return
	}
	c := victim.state.cell
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m.cache.get(&victim.key) != victim {
		c.detach(victim)
	}
}

// end marks sessions as ended and takes them out, and everything that is being
// read of them in this moment becomes invalid. Cutting streams is the caller's.
func (c *cell) end(ids ...ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.noteSession(id)
		s := c.sessions[id]
		if s == nil {
			continue
		}
		s.ended.Store(true)
		for s.lives != nil {
			c.detach(s.lives)
		}
	}
}

func (s *state) find(key digest) *Live {
	for l := s.lives; l != nil; l = l.sibling {
		if l.key == key {
			return l
		}
	}
	return nil
}
