package session

import (
	"context"
	"fmt"
)

const maxListed = 1000

// List returns the sessions of a person that are not over, newest first, at most
// 1000: for the account page and the command line.
func (m *Manager) List(ctx context.Context, p Practice, user string) ([]Record, error) {
	return m.list(ctx, p, queryOfUser, string(p.ID), user, maxListed)
}

// ListAll returns the newest sessions of a practice, at most limit (0: 1000).
func (m *Manager) ListAll(ctx context.Context, p Practice, limit int) ([]Record, error) {
	if limit <= 0 || limit > maxListed {
		limit = maxListed
	}
	return m.list(ctx, p, queryAll, string(p.ID), limit)
}

func (m *Manager) list(ctx context.Context, p Practice, query string, args ...any) ([]Record, error) {
	if !p.usable() {
		return nil, fmt.Errorf("session: practice %q has no limits: %w", p.ID, ErrUnavailable)
	}
	rows, err := m.rows(ctx, p.ID, query, args...)
	if err != nil {
		return nil, err
	}
	c := m.cell(p.ID)
	out := make([]Record, 0, len(rows))
	for _, r := range rows {
		if !m.expired(c, r, &p) {
			out = append(out, c.record(r))
		}
	}
	return out, nil
}

// record describes a row, with what memory knows better: when it was last seen.
func (c *cell) record(r *row) Record {
	seen := max(r.lastSeen, c.seen(r.id))
	proved := r.provedAt()
	return Record{
		Practice: r.practice, ID: r.id, User: r.person,
		Created: fromMicro(r.created), LastSeen: fromMicro(seen),
		Level: levelOf(proved), ProvedAt: proved, Held: r.held,
		AMR: splitAMR(r.amr), Agent: r.agent, Addr: r.addr,
	}
}
