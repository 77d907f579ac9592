package directory

import (
	"context"
	"database/sql"
	"errors"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// state is a row of the table practice.
type state struct {
	Practice   policy.PracticeID
	Generation int64
	Version    int64
	Revision   int64
	Suspended  bool
	Created    int64
	Removed    int64
	Changed    int64
	Author     Author
}

// row is a practice as it is stored: its state, the policy version in force, its hosts.
type row struct {
	state
	version version
	hosts   []string // sorted
}

const stateColumns = `p.practice, p.generation, p.version, p.revision, p.suspended, p.created, p.removed, p.changed, p.who, p.why`

const versionColumns = `v.practice, v.version, v.generation, v.document, v.who, v.why, v.at, v.previous, v.hash`

func (s *state) targets(suspended *int64) []any {
	return []any{&s.Practice, &s.Generation, &s.Version, &s.Revision, suspended, &s.Created, &s.Removed, &s.Changed,
		&s.Author.Who, &s.Author.Why}
}

func (v *version) targets() []any {
	return []any{&v.Practice, &v.Number, &v.Generation, &v.Document, &v.Author.Who, &v.Author.Why, &v.At, &v.Previous, &v.Hash}
}

// readState reads a practice's row, also that of a removed one; ErrUnknown when there never was one.
func readState(ctx context.Context, tx *database.Tx, id policy.PracticeID) (state, error) {
	var s state
	var suspended int64
	err := tx.QueryRow(ctx, `SELECT `+stateColumns+` FROM practice p WHERE p.practice = $1`, string(id)).Scan(s.targets(&suspended)...)
	s.Suspended = suspended != 0
	return s, known(err)
}

// readVersion reads one version; ErrUnknown when there is none of that number.
func readVersion(ctx context.Context, tx *database.Tx, id policy.PracticeID, number int64) (version, error) {
	var v version
	err := tx.QueryRow(ctx, `SELECT `+versionColumns+` FROM policy_version v WHERE v.practice = $1 AND v.version = $2`,
		string(id), number).Scan(v.targets()...)
	return v, known(err)
}

func known(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnknown
	}
	return err
}

// readHosts reads a practice's hosts in order.
func readHosts(ctx context.Context, tx *database.Tx, id policy.PracticeID) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT host FROM host WHERE practice = $1 ORDER BY host`, string(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var hosts []string
	for rows.Next() {
		var host string
		if err := rows.Scan(&host); err != nil {
			return nil, err
		}
		hosts = append(hosts, host)
	}
	return hosts, rows.Err()
}

// readRow reads one practice. A version that is not there leaves row.version zero, which build reports.
func readRow(ctx context.Context, tx *database.Tx, id policy.PracticeID) (r row, err error) {
	if r.state, err = readState(ctx, tx, id); err != nil {
		return r, err
	}
	if r.version, err = readVersion(ctx, tx, id, r.Version); err != nil && !errors.Is(err, ErrUnknown) {
		return r, err
	}
	r.hosts, err = readHosts(ctx, tx, id)
	return r, err
}

// readAll reads every practice, removed ones too, in three queries.
func readAll(ctx context.Context, tx *database.Tx) ([]*row, error) {
	var all []*row
	byID := make(map[policy.PracticeID]*row)
	err := each(ctx, tx, `SELECT `+stateColumns+` FROM practice p ORDER BY p.practice`, func(rows *sql.Rows) error {
		r := new(row)
		var suspended int64
		if err := rows.Scan(r.state.targets(&suspended)...); err != nil {
			return err
		}
		r.Suspended = suspended != 0
		all, byID[r.Practice] = append(all, r), r
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, `SELECT `+versionColumns+` FROM practice p JOIN policy_version v
		ON v.practice = p.practice AND v.version = p.version WHERE p.removed = 0`, func(rows *sql.Rows) error {
		var v version
		if err := rows.Scan(v.targets()...); err != nil {
			return err
		}
		byID[v.Practice].version = v // the join is on practice, so it is there
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, each(ctx, tx, `SELECT practice, host FROM host ORDER BY host`, func(rows *sql.Rows) error {
		var id policy.PracticeID
		var host string
		if err := rows.Scan(&id, &host); err != nil {
			return err
		}
		if r := byID[id]; r != nil {
			r.hosts = append(r.hosts, host)
		}
		return nil
	})
}

// each calls fn for every row of a query without arguments.
func each(ctx context.Context, tx *database.Tx, query string, fn func(*sql.Rows) error) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// writeState inserts or replaces a practice's row.
func writeState(ctx context.Context, tx *database.Tx, s state) error {
	suspended := int64(0)
	if s.Suspended {
		suspended = 1
	}
	_, err := tx.Exec(ctx, `INSERT INTO practice (practice, generation, version, revision, suspended, created, removed, changed, who, why)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (practice) DO UPDATE SET generation = excluded.generation, version = excluded.version,
			revision = excluded.revision, suspended = excluded.suspended, created = excluded.created,
			removed = excluded.removed, changed = excluded.changed, who = excluded.who, why = excluded.why`,
		string(s.Practice), s.Generation, s.Version, s.Revision, suspended, s.Created, s.Removed, s.Changed, s.Author.Who, s.Author.Why)
	return err
}

func writeVersion(ctx context.Context, tx *database.Tx, v version) error {
	_, err := tx.Exec(ctx, `INSERT INTO policy_version (practice, version, generation, document, who, why, at, previous, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		string(v.Practice), v.Number, v.Generation, v.Document, v.Author.Who, v.Author.Why, v.At, v.Previous, v.Hash)
	return err
}

func deleteHosts(ctx context.Context, tx *database.Tx, id policy.PracticeID) error {
	_, err := tx.Exec(ctx, `DELETE FROM host WHERE practice = $1`, string(id))
	return err
}

func insertHosts(ctx context.Context, tx *database.Tx, id policy.PracticeID, hosts []string) error {
	for _, host := range hosts {
		if _, err := tx.Exec(ctx, `INSERT INTO host (host, practice) VALUES ($1, $2)`, host, string(id)); err != nil {
			return err
		}
	}
	return nil
}

// hostOwner is the practice that has the host; "" is none.
func hostOwner(ctx context.Context, tx *database.Tx, host string) (owner policy.PracticeID, err error) {
	err = tx.QueryRow(ctx, `SELECT practice FROM host WHERE host = $1`, host).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return owner, err
}
