package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/session"
	"clinicgate/policy"
	"pgregory.net/rapid"
)

// TestModel drives two nodes on one database through random histories and compares
// every look-up with what a few lines of bookkeeping say it has to be: served
// exactly while nothing ended the session and no limit has passed; with SQL down
// never "none" for a session that lives. Changes reach the other node when the
// history delivers them.
func TestModel(t *testing.T) {
	g := newGate(t)
	nodes := [2]*gate{g, g.again()}
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, nodes: nodes}
		m.reset()
		t.Repeat(map[string]func(*rapid.T){
			"sign in": m.signIn, "look up": m.some(m.lookup), "touch": m.some(m.touch), "raise": m.some(m.raise), "end": m.some(m.end),
			"end user": m.endUser, "advance": m.advance, "a little": m.aLittle, "evict": m.some(m.evict), "sweep": m.sweep, "deliver": m.deliver,
			"outage": m.outage, "roles": m.roles, "": m.everything,
		})
		m.reset()
	})
}

type model struct {
	t     *rapid.T
	nodes [2]*gate
	all   []*modelSession
	lost  [2][]bus.Change // on their way to the other node
	role  map[string]string
	down  bool
	since time.Time // when the outage began
}

type modelSession struct {
	user          string
	id            session.ID
	created, seen time.Time
	tokens        []modelToken
	ended         bool
	heard         [2]bool // which node knows of the end
	live          *session.Live
	home          int // the node that has live
}

type modelToken struct {
	cookie string
	level  policy.Level
	dies   time.Time
}

func (m *model) now() time.Time { return m.nodes[0].clock.Now() }

func (m *model) reset() {
	m.up()
	for _, n := range m.nodes {
		if _, err := n.EndPractice(context.Background(), harbour); err != nil {
			m.t.Fatal(err)
		}
	}
	m.carry()
	m.all, m.role = nil, map[string]string{nurse: "reception", doctor: "clinician"}
	for user, role := range m.role {
		m.setRole(user, role)
	}
	for _, n := range m.nodes {
		n.feed.sent = nil
		n.feed.deliver(bus.Change{Kind: bus.KindAll})
		n.catchUp()
	}
	m.lost = [2][]bus.Change{}
}

func (m *model) setRole(user, role string) {
	m.nodes[0].people.change(user, func(p *session.Person) { p.Roles = []string{role} })
}

// node draws where something happens.
func (m *model) node(t *rapid.T) int { return rapid.IntRange(0, 1).Draw(t, "node") }

// some makes a step of what needs a session; before the first it does nothing.
func (m *model) some(step func(*rapid.T, *modelSession)) func(*rapid.T) {
	return func(t *rapid.T) {
		if len(m.all) > 0 {
			step(t, m.pick(t))
		}
	}
}

func (m *model) pick(t *rapid.T) *modelSession {
	return m.all[rapid.IntRange(0, len(m.all)-1).Draw(t, "session")]
}

// collect keeps what a node published for the other.
func (m *model) collect() {
	for i, n := range m.nodes {
		m.lost[1-i] = append(m.lost[1-i], n.feed.published()...)
		n.feed.mu.Lock()
		n.feed.sent = nil
		n.feed.mu.Unlock()
	}
}

func (m *model) carry() {
	m.collect()
	for i, n := range m.nodes {
		for _, c := range m.lost[i] {
			n.feed.deliver(c)
		}
		m.lost[i] = nil
		n.catchUp()
		for _, s := range m.all {
			s.heard[i] = s.heard[i] || s.ended
		}
	}
}

func (m *model) signIn(t *rapid.T) {
	if m.down || len(m.all) >= 8 {
		return
	}
	i, user := m.node(t), rapid.SampledFrom([]string{nurse, doctor}).Draw(t, "user")
	cookie, l := m.nodes[i].signIn(limits, user)
	m.all = append(m.all, &modelSession{
		user: user, id: l.ID(), created: m.now(), seen: m.now(), live: l, home: i,
		tokens: []modelToken{{cookie: cookie, level: policy.AAL1}},
	})
}

// alive says whether a token has to be served, by everything that happened.
func (m *model) alive(s *modelSession, token modelToken) bool {
	return !s.ended && m.now().Sub(s.created) < limits.Absolute && m.now().Sub(s.seen) < limits.Idle &&
		(token.dies.IsZero() || m.now().Before(token.dies))
}

func (m *model) lookup(t *rapid.T, s *modelSession) {
	m.check(t, m.node(t), s, s.tokens[rapid.IntRange(0, len(s.tokens)-1).Draw(t, "token")])
}

func (m *model) check(t *rapid.T, i int, s *modelSession, token modelToken) *session.Live {
	l, err := m.nodes[i].lookup(limits, token.cookie)
	alive := m.alive(s, token)
	late := s.ended && !s.heard[i] || !s.ended && !token.dies.IsZero() // the node may not know yet
	switch {
	case err == nil && !alive && !late:
		t.Fatalf("node %d serves what is over: %+v", i, s)
	case errors.Is(err, session.ErrNone) && alive:
		t.Fatalf("node %d: logged out: %+v, token %+v", i, s, token)
	case errors.Is(err, session.ErrUnavailable) && !m.down:
		t.Fatalf("node %d: %v", i, err)
	case err == nil && m.down && m.now().Sub(m.since) > limits.OutageGrace:
		t.Fatalf("node %d serves after the grace", i)
	case err == nil && (l.ID() != s.id || l.Person().ID != s.user || l.Subject().Level != token.level):
		t.Fatalf("node %d serves another: %+v for %+v", i, l.Record(), s)
	}
	return l
}

func (m *model) touch(t *rapid.T, s *modelSession) {
	i := m.node(t)
	token := s.tokens[len(s.tokens)-1]
	if l := m.check(t, i, s, token); l != nil && m.alive(s, token) {
		l.Touch(m.now())
		if m.now().Sub(s.seen) >= time.Second {
			s.seen = m.now()
		}
		m.nodes[i].FlushEarly(context.Background())
	}
}

func (m *model) raise(t *rapid.T, s *modelSession) {
	i := m.node(t)
	last := &s.tokens[len(s.tokens)-1]
	l := m.check(t, i, s, *last)
	if l == nil {
		return
	}
	token, next, err := m.nodes[i].Raise(context.Background(), limits, l, policy.AAL2, []string{"otp"})
	switch {
	case err == nil && !m.alive(s, *last):
		t.Fatalf("raised what is over")
	case err == nil:
		last.dies, s.seen, s.live, s.home = m.now().Add(10*time.Second), m.now(), next, i
		s.tokens = append(s.tokens, modelToken{cookie: token.Reveal(), level: policy.AAL2})
	case m.alive(s, *last) && !m.down:
		t.Fatalf("Raise: %v", err)
	}
}

func (m *model) end(t *rapid.T, s *modelSession) {
	i := m.node(t)
	if _, err := m.nodes[i].EndByPublicID(context.Background(), harbour, s.id); err == nil {
		s.ended, s.heard[i] = true, true
	} else if !m.down {
		t.Fatalf("End: %v", err)
	}
}

func (m *model) endUser(t *rapid.T) {
	i, user := m.node(t), rapid.SampledFrom([]string{nurse, doctor}).Draw(t, "user")
	if _, err := m.nodes[i].EndUser(context.Background(), harbour, user); err != nil {
		if !m.down {
			t.Fatalf("EndUser: %v", err)
		}
		return
	}
	for _, s := range m.all {
		if s.user == user {
			s.ended, s.heard[i] = true, true
		}
	}
}

// advance lets time pass as it does with Run beside: what was seen is written.
func (m *model) advance(t *rapid.T) {
	m.flush()
	d := time.Duration(rapid.IntRange(1, 20*60).Draw(t, "seconds")) * time.Second
	m.nodes[0].clock.Advance(d) // both have the same
}

func (m *model) aLittle(t *rapid.T) {
	m.nodes[0].clock.Advance(time.Duration(rapid.IntRange(1, 6).Draw(t, "seconds")) * time.Second)
}

func (m *model) flush() {
	for _, n := range m.nodes {
		_ = n.Flush(context.Background())
	}
}

func (m *model) evict(_ *rapid.T, s *modelSession) {
	m.nodes[s.home].Evict(s.live)
}

func (m *model) sweep(t *rapid.T) {
	m.flush()
	if err := m.nodes[m.node(t)].Sweep(context.Background()); err != nil && !m.down {
		t.Fatalf("Sweep: %v", err)
	}
}

func (m *model) deliver(*rapid.T) {
	if !m.down {
		m.carry()
	}
}

func (m *model) outage(t *rapid.T) {
	if m.down {
		m.up()
		m.carry()
		return
	}
	m.flush()
	m.carry() // the feed was fresh when it broke
	m.down, m.since = true, m.now()
	for _, n := range m.nodes {
		n.feed.stop()
		n.feed.fails.Store(true)
		n.store.down.Store(true)
	}
}

func (m *model) up() {
	m.down = false
	for _, n := range m.nodes {
		n.store.down.Store(false)
		n.feed.fails.Store(false)
		n.feed.stale.Store(0)
		n.PublishPending(context.Background()) // as Run does in its next tick
		n.FlushEarly(context.Background())     // the same
		n.catchUp()
	}
}

// roles changes a person, and delivers that to both nodes at once.
func (m *model) roles(t *rapid.T) {
	if m.down {
		return // people cannot be changed either
	}
	user := rapid.SampledFrom([]string{nurse, doctor}).Draw(t, "user")
	role := rapid.SampledFrom([]string{"billing", "reception", "clinician"}).Draw(t, "role")
	m.role[user] = role
	m.setRole(user, role)
	for _, n := range m.nodes {
		n.feed.deliver(personChange(user))
	}
	for _, s := range m.all {
		for i, n := range m.nodes {
			if l, err := n.lookup(limits, s.tokens[len(s.tokens)-1].cookie); err == nil && l.Subject().Roles[0] != m.role[s.user] {
				t.Fatalf("node %d shows %v, is %s", i, l.Subject().Roles, m.role[s.user])
			}
		}
	}
}

// everything holds after every step.
func (m *model) everything(t *rapid.T) {
	m.collect()
	for i, n := range m.nodes {
		tokens, sessions, owners, indexed := n.Cached(harbour)
		if tokens < sessions || indexed != sessions || owners > sessions {
			t.Fatalf("node %d: %d tokens, %d sessions, %d owners with %d", i, tokens, sessions, owners, indexed)
		}
		if n := n.Stats().Mismatches; n != 0 {
			t.Fatalf("node %d: %d mismatches", i, n)
		}
	}
}
