package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// store is the databases as this package uses them: one practice's at a time.
type store interface {
	Read(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error
	Write(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error
}

// databases is the store on a database.Set.
type databases struct{ set *database.Set }

func (d databases) Read(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error {
	return d.set.Practice(p).Read(ctx, fn)
}

func (d databases) Write(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error {
	return d.set.Practice(p).Write(ctx, fn)
}

// fail counts an error and makes every failure of a store match ErrUnavailable.
// ErrNone, ErrRotated and ErrRefused are answers, and stay what they are.
func (m *Manager) fail(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errMismatch):
		m.stats.mismatches.Add(1)
		return err
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrNone), errors.Is(err, ErrRotated), errors.Is(err, ErrRefused):
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}

// row is a token and its session, as SQL holds them.
type row struct {
	key      digest
	practice policy.PracticeID
	id       ID
	person   string
	created  int64
	lastSeen int64
	agent    string
	addr     netip.Addr
	diesAt   int64
	proved   [4]int64 // index policy.Level
	held     policy.Level
	amr      string
}

func (r *row) provedAt() (at [4]time.Time) {
	for l := policy.AAL1; l <= policy.AAL2PR; l++ {
		if r.proved[l] != 0 {
			at[l] = fromMicro(r.proved[l])
		}
	}
	return at
}

// errMismatch is a row that is not what was asked for (THREATS T6).
var errMismatch = fmt.Errorf("session: the store returned another session's record: %w", ErrUnavailable)

const rowColumns = `SELECT t.hash, t.practice, t.dies_at, t.proved_aal1, t.proved_aal2, t.proved_pr, t.held, t.amr,
	s.practice, s.id, t.session, s.person, s.created, s.last_seen, s.agent, s.addr
	FROM session_token t JOIN session s ON s.practice = t.practice AND s.id = t.session`

const (
	queryByHash = rowColumns + ` WHERE t.hash = $1`
	queryByID   = rowColumns + ` WHERE t.practice = $1 AND t.session = $2`
	queryOfUser = rowColumns + ` WHERE s.practice = $1 AND s.person = $2 AND t.dies_at = 0 ORDER BY s.created DESC LIMIT $3`
	queryAll    = rowColumns + ` WHERE s.practice = $1 AND t.dies_at = 0 ORDER BY s.created DESC LIMIT $2`
)

// scanRow reads one row and refuses it unless it names the practice that was
// asked, once as a token and once as a session.
func scanRow(practice policy.PracticeID, scan func(...any) error) (*row, error) {
	var r row
	var hash []byte
	var tokenPractice, practiceText, id, session, addr string
	var held int64
	err := scan(&hash, &tokenPractice, &r.diesAt, &r.proved[1], &r.proved[2], &r.proved[3], &held, &r.amr,
		&practiceText, &id, &session, &r.person, &r.created, &r.lastSeen, &r.agent, &addr)
	if err != nil {
		return nil, err
	}
	r.practice = policy.PracticeID(practiceText)
	r.id, err = ParseID(id)
	if err != nil || r.practice != practice || tokenPractice != practiceText || session != id ||
		copy(r.key[:], hash) != len(r.key) || len(hash) != len(r.key) ||
		held < 0 || held > int64(policy.AAL2PR) || r.person == "" {
		return nil, errMismatch
	}
	r.held = policy.Level(held)
	if addr != "" {
		if r.addr, err = netip.ParseAddr(addr); err != nil {
			return nil, errMismatch
		}
	}
	return &r, nil
}

// byHash is the one point query of a look-up. A nil row means that there is none.
func (m *Manager) byHash(ctx context.Context, p policy.PracticeID, key digest) (r *row, err error) {
	err = m.store.Read(ctx, p, func(tx *database.Tx) error {
		r, err = scanRow(p, tx.QueryRow(ctx, queryByHash, key[:]).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			r, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, m.fail("reading a session", err)
	}
	if r != nil && r.key != key {
		return nil, m.fail("reading a session", errMismatch)
	}
	return r, nil
}

// rows runs a query that returns rowColumns.
func (m *Manager) rows(ctx context.Context, p policy.PracticeID, query string, args ...any) (out []*row, err error) {
	err = m.store.Read(ctx, p, func(tx *database.Tx) error {
		out = nil
		found, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			r, err := scanRow(p, found.Scan)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return found.Err()
	})
	return out, m.fail("reading sessions", err)
}

// exists returns which of the ids SQL knows, asking for idChunk at a time.
func (m *Manager) exists(ctx context.Context, p policy.PracticeID, ids []ID) (map[ID]bool, error) {
	alive := make(map[ID]bool, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), idChunk)
		args := padIDs([]any{string(p)}, ids[:n])
		err := m.store.Read(ctx, p, func(tx *database.Tx) error {
			found, err := tx.Query(ctx, queryExists, args...)
			return eachID(found, err, func(id ID) { alive[id] = true })
		})
		if err != nil {
			return nil, m.fail("reading sessions", err)
		}
		ids = ids[n:]
	}
	return alive, nil
}

const (
	insertSession = `INSERT INTO session (practice, id, person, created, last_seen, agent, addr)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
	insertToken = `INSERT INTO session_token (hash, practice, session, dies_at, proved_aal1, proved_aal2, proved_pr, held, amr)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
)

func (r *row) insertSession(ctx context.Context, tx *database.Tx) error {
	addr := ""
	if r.addr.IsValid() {
		addr = r.addr.String()
	}
	_, err := tx.Exec(ctx, insertSession, string(r.practice), r.id.String(), r.person, r.created, r.lastSeen, r.agent, addr)
	return err
}

func (r *row) insertToken(ctx context.Context, tx *database.Tx) error {
	_, err := tx.Exec(ctx, insertToken, r.key[:], string(r.practice), r.id.String(), r.diesAt,
		r.proved[1], r.proved[2], r.proved[3], int64(r.held), r.amr)
	return err
}
