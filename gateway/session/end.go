package session

import (
	"context"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Ending is the same everywhere: SQL first, since that is the truth; then this
// node's memory, then its streams, then the other nodes. It goes on when the
// request that asked for it is cancelled. When it fails nothing has ended
// (ErrUnavailable), and it may be asked for again.

// End ends a session: the person signed out. Ending it twice is no error.
func (m *Manager) End(ctx context.Context, l *Live) error {
	if l == nil {
		return nil
	}
	_, err := m.EndByPublicID(ctx, l.Practice(), l.ID())
	return err
}

// EndByPublicID ends a session by its public id, and reports whether there was one.
func (m *Manager) EndByPublicID(ctx context.Context, p policy.PracticeID, id ID) (bool, error) {
	n, err := m.endBy(ctx, p, change(p, id), func(ctx context.Context) ([]ID, error) {
		return m.deleteReturning(ctx, p, []ID{id}, deleteOne, string(p), id.String())
	})
	if err == nil && n == 0 { // another node was first, and this one may not know yet
		m.revoke(m.cell(p), id)
	}
	return n > 0, err
}

// EndUser ends all sessions and sign-ins in progress of a person, and returns how
// many sessions it ended.
func (m *Manager) EndUser(ctx context.Context, p policy.PracticeID, user string) (int, error) {
	return m.endBy(ctx, p, bus.Change{Practice: p, Kind: kindPerson, Ref: user}, func(ctx context.Context) ([]ID, error) {
		return m.deleteUser(ctx, p, user, ID{})
	})
}

// EndOthers ends all other sessions of the person behind l: after a factor or
// password changed, or because they asked for it.
func (m *Manager) EndOthers(ctx context.Context, l *Live) (int, error) {
	p, user := l.Practice(), l.state.owner.id
	return m.endBy(ctx, p, bus.Change{Practice: p, Kind: kindPerson, Ref: user}, func(ctx context.Context) ([]ID, error) {
		return m.deleteUser(ctx, p, user, l.ID())
	})
}

// EndPractice ends all sessions and sign-ins in progress of a practice.
func (m *Manager) EndPractice(ctx context.Context, p policy.PracticeID) (int, error) {
	return m.endBy(ctx, p, bus.Change{Practice: p, Kind: kindSession}, func(ctx context.Context) ([]ID, error) {
		return m.deletePractice(ctx, p)
	})
}

// endBy carries out an ending. What was deleted before an error counts as ended.
func (m *Manager) endBy(ctx context.Context, p policy.PracticeID, ch bus.Change, remove func(context.Context) ([]ID, error)) (int, error) {
	ctx, cancel := detach(ctx)
	defer cancel()
	ids, err := remove(ctx)
	if len(ids) > 0 || err == nil {
		m.finished(m.cell(p), ids)
		m.announce(ctx, ch)
	}
	return len(ids), m.fail("ending a session", err)
}

// finished takes sessions that SQL no longer has out of this node.
func (m *Manager) finished(c *cell, ids []ID) {
	m.stats.ended.Add(int64(len(ids)))
	c.end(ids...)
	for _, id := range ids {
		m.streams.CutSession(c.id, id)
	}
}

// ended is finished and announce for sessions that were driven out by others.
func (m *Manager) ended(ctx context.Context, c *cell, ids ...ID) {
	if len(ids) == 0 {
		return
	}
	m.finished(c, ids)
	for _, id := range ids {
		m.announce(ctx, change(c.id, id))
	}
}

// announce publishes after a commit, whatever has become of the request.
func (m *Manager) announce(ctx context.Context, ch bus.Change) {
	ctx, cancel := detach(ctx)
	defer cancel()
	m.publish(ctx, ch)
}

const (
	deleteOne    = `DELETE FROM session WHERE practice = $1 AND id = $2 RETURNING id`
	deleteToken  = `DELETE FROM session_token WHERE practice = $1 AND session = $2`
	deleteOfUser = `DELETE FROM session WHERE practice = $1 AND id IN (
		SELECT id FROM session WHERE practice = $1 AND person = $2 AND id <> $3 LIMIT $4) RETURNING id`
	deleteAny = `DELETE FROM session WHERE practice = $1 AND id IN (
		SELECT id FROM session WHERE practice = $1 LIMIT $2) RETURNING id`
	deleteFlowsOf = `DELETE FROM flow WHERE practice = $1 AND person = $2`
	deleteFlows   = `DELETE FROM flow WHERE practice = $1`
)

func deleteTokens(ctx context.Context, tx *database.Tx, p policy.PracticeID, ids []ID) error {
	for _, id := range ids {
		if _, err := tx.Exec(ctx, deleteToken, string(p), id.String()); err != nil {
			return err
		}
	}
	return nil
}

// deleteReturning deletes sessions and their tokens in one transaction and returns
// their ids. Tokens of the ids in also go too, in case a session lost its row.
func (m *Manager) deleteReturning(ctx context.Context, p policy.PracticeID, also []ID, query string, args ...any) (ids []ID, err error) {
	err = m.store.Write(ctx, p, func(tx *database.Tx) error {
		ids = nil
		found, err := tx.Query(ctx, query, args...)
		if err := eachID(found, err, func(id ID) { ids = append(ids, id) }); err != nil {
			return err
		}
		if len(ids) == 0 {
			return deleteTokens(ctx, tx, p, also)
		}
		return deleteTokens(ctx, tx, p, ids)
	})
	if err != nil {
		return nil, m.fail("deleting sessions", err)
	}
	return ids, nil
}

// deleteAll repeats a chunked deletion until it finds nothing.
func (m *Manager) deleteAll(ctx context.Context, p policy.PracticeID, query string, args ...any) (all []ID, err error) {
	for {
		ids, err := m.deleteReturning(ctx, p, nil, query, args...)
		all = append(all, ids...)
		if err != nil || len(ids) < sweepChunk {
			return all, err
		}
	}
}

func (m *Manager) deleteUser(ctx context.Context, p policy.PracticeID, user string, except ID) ([]ID, error) {
	if err := m.exec(ctx, p, deleteFlowsOf, string(p), user); err != nil {
		return nil, err
	}
	return m.deleteAll(ctx, p, deleteOfUser, string(p), user, except.String(), sweepChunk)
}

func (m *Manager) deletePractice(ctx context.Context, p policy.PracticeID) ([]ID, error) {
	if err := m.exec(ctx, p, deleteFlows, string(p)); err != nil {
		return nil, err
	}
	return m.deleteAll(ctx, p, deleteAny, string(p), sweepChunk)
}

func (m *Manager) exec(ctx context.Context, p policy.PracticeID, query string, args ...any) error {
	err := m.store.Write(ctx, p, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	return m.fail("deleting", err)
}
