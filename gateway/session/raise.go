package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Raise notes that the person proved level by the given methods (RFC 8176) now,
// and gives the session a new token (THREATS C3). The session keeps its public id
// and its streams.
//
// The replaced token opens the session for another 10 s, with the assurance it had
// and no more, so that requests which the browser sent before it knew the new
// cookie are answered and nobody is logged out (THREATS C6). Then it is dead. It
// cannot be raised again: ErrRotated, the browser is to try again. ErrNone says
// that the session has ended meanwhile; Raise never brings it back.
func (m *Manager) Raise(ctx context.Context, p Practice, l *Live, level policy.Level, amr []string) (Token, *Live, error) {
	now := m.now()
	if err := m.mayRaise(p, l, level, amr, now); err != nil {
		return Token{}, nil, err
	}
	s, c := l.state, l.state.cell
	c.remember(p)
	token, err := m.NewToken(ctx, p.ID)
	if err != nil {
		return Token{}, nil, err
	}
	r := l.raised(token, level, amr, now)
	w := c.begin()
	defer c.finish(w)
	person, err := m.personOf(ctx, c, &p, s.owner.id)
	if errors.Is(err, ErrNoPerson) {
		m.tasks.add(task{c, taskPerson, s.owner.id})
		return Token{}, nil, ErrNone
	}
	if err != nil {
		return Token{}, nil, err
	}
	if err := m.rotate(ctx, l, r, now); err != nil {
		m.unsure(l)
		return Token{}, nil, err
	}
	m.stats.raised.Add(1)
	raise(&l.diesAt, now.Add(overlap).UnixMicro())
	next, err := m.enter(ctx, c, &p, w, r, person)
	m.announce(ctx, change(c.id, s.id))
	if err != nil {
		return Token{}, nil, err
	}
	return token, next, nil
}

func (m *Manager) mayRaise(p Practice, l *Live, level policy.Level, amr []string, now time.Time) error {
	switch {
	case l == nil || l.Ended():
		return ErrNone
	case !p.usable() || p.ID != l.Practice():
		return fmt.Errorf("session: raising a session of %q at %q: %w", l.Practice(), p.ID, ErrUnavailable)
	case level < policy.AAL1 || level > policy.AAL2PR:
		return errors.New("session: raising to no level")
	case !l.Current():
		return ErrRotated
	case now.UnixMicro()-l.state.created >= p.Absolute.Microseconds():
		return ErrNone
	}
	proved := [4]time.Time{}
	proved[level] = now
	return checkProof(proved, amr, now)
}

// raised is the row of the new token: what was proved before, and level now.
func (l *Live) raised(t Token, level policy.Level, amr []string, now time.Time) *row {
	s := l.state
	r := &row{
		key: t.digest(s.cell.id), practice: s.cell.id, id: s.id, person: s.owner.id,
		created: s.created, lastSeen: now.UnixMicro(), agent: s.agent.Value(), addr: s.addr,
		proved: microProved(l.Subject().ProvedAt, now), held: l.held,
		amr: joinAMR(splitAMR(l.amr.Value()), amr),
	}
	r.proved[level] = now.UnixMicro()
	return r
}

const (
	// retireToken succeeds for one of many at once: only the current token can be
	// replaced, and only while its session exists.
	retireToken = `UPDATE session_token SET dies_at = $1
		WHERE hash = $2 AND practice = $3 AND session = $4 AND dies_at = 0`
	// touchSession never turns time back.
	touchSession = `UPDATE session SET last_seen = CASE WHEN last_seen < $1 THEN $1 ELSE last_seen END
		WHERE practice = $2 AND id = $3`
)

func (m *Manager) rotate(ctx context.Context, l *Live, r *row, now time.Time) error {
	practice, id := string(r.practice), r.id.String()
	err := m.store.Write(ctx, r.practice, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, touchSession, r.lastSeen, practice, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNone
		}
		n, err = tx.Exec(ctx, retireToken, now.Add(overlap).UnixMicro(), l.key[:], practice, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrRotated
		}
		return r.insertToken(ctx, tx)
	})
	return m.fail("replacing a token", err)
}

// unsure has the next request ask SQL what became of a session.
func (m *Manager) unsure(l *Live) {
	l.set(staleSession)
	m.tasks.add(task{l.state.cell, taskSession, l.state.id.String()})
}
