package session

import (
	"context"
	"net/netip"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Store is the seam at which tests count transactions and make them fail.
type Store interface {
	Read(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error
	Write(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error
}

// WrapStore puts a test's store before the manager's.
func (m *Manager) WrapStore(wrap func(Store) Store) { m.store = wrap(m.store) }

// CatchUp does what Run's workers would do.
func (m *Manager) CatchUp(ctx context.Context) { m.tasks.retry(); m.catchUp(ctx) }

// VerifyStreams is Run's round over open streams.
func (m *Manager) VerifyStreams(ctx context.Context) { m.verifyStreams(ctx) }

// FlushEarly is Run's writing of sessions that came back after a pause.
func (m *Manager) FlushEarly(ctx context.Context) (wanted bool) {
	wanted = m.touched.urgent()
	if wanted {
		_ = m.flush(ctx, true)
	}
	return wanted
}

// PublishPending is Run's second try at what could not be published.
func (m *Manager) PublishPending(ctx context.Context) { m.publishPending(ctx) }

// Cached counts what the indexes of a practice hold, which must agree.
func (m *Manager) Cached(p policy.PracticeID) (tokens, sessions, owners, indexed int) {
	c := m.cell(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		for l := s.lives; l != nil; l = l.sibling {
			if m.cache.get(&l.key) == l {
				tokens++
			}
		}
	}
	for _, o := range c.owners {
		indexed += len(o.sessions)
	}
	return tokens, len(c.sessions), len(c.owners), indexed
}

// Evict takes a session out of the cache as if room were needed.
func (l *Live) Evict() { l.Displace()() }

// Displace is the first half of it, and returns the second.
func (l *Live) Displace() (rest func()) {
	l.state.cell.m.cache.remove(l)
	return func() { release(l) }
}

// Digest is what is stored of a token.
func (t Token) Digest(p policy.PracticeID) []byte { d := t.digest(p); return d[:] }

// Digest is what is stored of a token.
func (t FlowToken) Digest(p policy.PracticeID) []byte { d := t.digest(p); return d[:] }

// Sizes that tests must know.
const (
	FlushChunk = flushChunk
	SweepChunk = sweepChunk
	MaxTasks   = maxTasks
)

// Statements is every statement of the package, under its name.
var Statements = map[string]string{
	"deleteAny": deleteAny, "deleteDeadTokens": deleteDeadTokens, "deleteExpired": deleteExpired,
	"deleteExpiredOne": deleteExpiredOne, "deleteFlows": deleteFlows, "deleteFlowsOf": deleteFlowsOf,
	"deleteOfUser": deleteOfUser, "deleteOldFlows": deleteOldFlows, "deleteOne": deleteOne,
	"deleteSurplus": deleteSurplus, "deleteSurplusFlows": deleteSurplusFlows, "deleteToken": deleteToken,
	"insertFlow": insertFlow, "insertSession": insertSession, "insertToken": insertToken,
	"queryAll": queryAll, "queryByHash": queryByHash, "queryByID": queryByID, "queryExists": queryExists,
	"queryFlow": queryFlow, "queryOfUser": queryOfUser, "retireToken": retireToken, "takeFlow": takeFlow,
	"touchSession": touchSession,
}

// MakeToken and MakeFlowToken make tokens that are marked with a key.
func MakeToken(key []byte) Token         { return Token{newSecret(key, domainToken)} }
func MakeFlowToken(key []byte) FlowToken { return FlowToken{newSecret(key, domainFlow)} }

// NewID makes a public id.

// Enter puts a session into the cache as a load does, for measuring.
func (m *Manager) Enter(p Practice, t Token, person Person, agent string) {
	m.EnterAt(p.ID, p, t, person, agent)
}

// EnterAt puts a session of one practice where a look-up at another finds it.
func (m *Manager) EnterAt(found policy.PracticeID, p Practice, t Token, person Person, agent string) {
	c := m.cell(p.ID)
	c.remember(p)
	now := m.now()
	in := SignIn{User: person.ID, AMR: []string{"pwd", "otp", "mfa"}, Agent: agent, Addr: netip.MustParseAddr("2001:db8::7")}
	in.ProvedAt[policy.AAL1], in.ProvedAt[policy.AAL2] = now, now
	r := in.row(p.ID, t, now)
	r.key = t.digest(found)
	c.mu.Lock()
	_, victim := c.attach(r, reading{c.snapshot(person), now.UnixMicro(), m.readings.Add(1)}, now.UnixMicro())
	c.mu.Unlock()
	release(victim)
}

// Held is a stream's holder that a test makes of two functions.
type Held struct {
	May func() bool // nil: it may
	End func()
}

func (h Held) Allowed() bool { return h.May == nil || h.May() }
func (h Held) Cut()          { h.End() }

// Register opens a stream of which only the end matters.
func (s *Streams) Register(key StreamKey, cut func()) (done func()) {
	st := new(Stream)
	s.Open(st, key, Held{End: cut})
	return func() { s.Close(st) }
}
