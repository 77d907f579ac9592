package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// maxUserID and the others bound what a caller may hand in.
const (
	maxUserID = 64
	maxAMR    = 12
	maxMethod = 16 // characters of one RFC 8176 value
)

// Create makes a session for a person who has just proved who they are, and the
// token for their cookie. It is in SQL when Create returns. The person is read
// anew: ErrRefused if they are gone or disabled. Sessions beyond the practice's
// MaxPerUser end, oldest first.
func (m *Manager) Create(ctx context.Context, p Practice, in SignIn) (Token, *Live, error) {
	now := m.now()
	if err := in.check(p, now); err != nil {
		return Token{}, nil, err
	}
	c := m.cell(p.ID)
	c.remember(p)
	token, err := m.NewToken(ctx, p.ID)
	if err != nil {
		return Token{}, nil, err
	}
	w := c.begin()
	defer c.finish(w)
	person, err := m.readPerson(ctx, c, in.User)
	if errors.Is(err, ErrNoPerson) {
		return Token{}, nil, ErrRefused
	}
	if err != nil {
		return Token{}, nil, err
	}
	r := in.row(p.ID, token, now)
	surplus, err := m.insert(ctx, r, p.MaxPerUser)
	if err != nil {
		return Token{}, nil, err
	}
	m.stats.created.Add(1)
	m.ended(ctx, c, surplus...)
	l, err := m.enter(ctx, c, &p, w, r, person)
	if err != nil {
		return Token{}, nil, err
	}
	return token, l, nil
}

// enter caches what this node has just written. If a change concerned it while it
// was written, what SQL says now counts; if that cannot be told either, it is
// entered as stale: the browser gets its new cookie, and the next request asks.
func (m *Manager) enter(ctx context.Context, c *cell, p *Practice, w *watch, r *row, person reading) (*Live, error) {
	c.mu.Lock()
	stale := w.hit(r.id, r.person)
	if stale {
		c.mu.Unlock()
		ctx, cancel := detach(ctx)
		defer cancel()
		if l, err := m.read(ctx, c, p, r.key); !errors.Is(err, ErrUnavailable) {
			return l, err
		}
		c.mu.Lock()
	}
	l, victim := c.attach(r, person, r.lastSeen)
	if l != nil && stale {
		l.set(staleSession | stalePerson)
		l.state.owner.dirty = true
	}
	c.mu.Unlock()
	release(victim)
	if l == nil {
		return nil, m.fail("entering a session", errMismatch)
	}
	return l, nil
}

// insert writes a new session and returns the ids that it drove out.
func (m *Manager) insert(ctx context.Context, r *row, limit int) (surplus []ID, err error) {
	if limit <= 0 || limit > maxPerUser {
		limit = maxPerUser
	}
	err = m.store.Write(ctx, r.practice, func(tx *database.Tx) error {
		surplus = nil
		if err := r.insertSession(ctx, tx); err != nil {
			return err
		}
		if err := r.insertToken(ctx, tx); err != nil {
			return err
		}
		found, err := tx.Query(ctx, deleteSurplus, string(r.practice), r.person, r.id.String(), limit-1)
		if err := eachID(found, err, func(id ID) { surplus = append(surplus, id) }); err != nil {
			return err
		}
		return deleteTokens(ctx, tx, r.practice, surplus)
	})
	return surplus, m.fail("writing a session", err)
}

const deleteSurplus = `DELETE FROM session WHERE practice = $1 AND id IN (
	SELECT id FROM session WHERE practice = $1 AND person = $2 AND id <> $3
	ORDER BY created DESC, id LIMIT 1000 OFFSET $4) RETURNING id`

func (in *SignIn) check(p Practice, now time.Time) error {
	if !p.usable() {
		return fmt.Errorf("session: practice %q has no limits: %w", p.ID, ErrUnavailable)
	}
	if in.User == "" || len(in.User) > maxUserID {
		return errors.New("session: a sign-in without a person's id")
	}
	if in.Held < policy.LevelNone || in.Held > policy.AAL2PR {
		return errors.New("session: a sign-in with an unknown held level")
	}
	return checkProof(in.ProvedAt, in.AMR, now)
}

// maxSkew is how far the clocks of two nodes may differ: a sign-in may begin on one
// and end on the other.
const maxSkew = 30 * time.Second

// checkProof refuses a sign-in that proved nothing, or claims to prove something in
// the future: it would outlive its max_age.
func checkProof(proved [4]time.Time, amr []string, now time.Time) error {
	if levelOf(proved) == policy.LevelNone || !proved[policy.LevelNone].IsZero() {
		return errors.New("session: nothing was proved")
	}
	for _, at := range proved {
		if at.After(now.Add(maxSkew)) {
			return errors.New("session: a proof of the future")
		}
	}
	if len(amr) == 0 || len(amr) > maxAMR {
		return errors.New("session: a proof names 1 to 12 methods (RFC 8176)")
	}
	for _, method := range amr {
		if !isMethod(method) {
			return errors.New("session: a method (RFC 8176) has 1 to 16 of a-z, 0-9")
		}
	}
	return nil
}

func isMethod(s string) bool {
	for i := range len(s) {
		if (s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxMethod
}

func (in *SignIn) row(p policy.PracticeID, t Token, now time.Time) *row {
	id := in.ID
	if id == (ID{}) {
		id = NewID()
	}
	return &row{
		key: t.digest(p), practice: p, id: id, person: strings.Clone(in.User),
		created: now.UnixMicro(), lastSeen: now.UnixMicro(),
		agent: AgentLabel(in.Agent), addr: in.Addr.Unmap().WithZone(""),
		proved: microProved(in.ProvedAt, now), held: in.Held, amr: joinAMR(nil, in.AMR),
	}
}

// microProved is what is stored of proofs; none is later than now.
func microProved(at [4]time.Time, now time.Time) (out [4]int64) {
	for l := policy.AAL1; l <= policy.AAL2PR; l++ {
		if !at[l].IsZero() {
			out[l] = min(at[l].UnixMicro(), now.UnixMicro())
		}
	}
	return out
}

// joinAMR adds methods to those that were proved before, each once.
func joinAMR(before, more []string) string {
	out := slices.Clone(before)
	for _, method := range more {
		if !slices.Contains(out, method) {
			out = append(out, method)
		}
	}
	return strings.Join(out, ",")
}

// change is what other nodes are told of one session.
func change(p policy.PracticeID, id ID) bus.Change {
	return bus.Change{Practice: p, Kind: kindSession, Ref: id.String()}
}
