package database

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"clinicgate/policy"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// postgresEngine keeps each database in a PostgreSQL database of its own: the registry in the one its address names,
// the practices' beside each other on the server that theirs names.
//
// A transaction that writes takes an advisory lock first, so that there is one at a time over all nodes, as with
// SQLite: whoever reads before it writes sees what the writer before it has done. One that reads sees one snapshot.
type postgresEngine struct {
	addresses
	now func() time.Time
}

func newPostgres(p Postgres, now func() time.Time) (*postgresEngine, error) {
	a, err := parsePostgres(p)
	if err != nil {
		return nil, err
	}
	return &postgresEngine{a, now}, nil
}

// beginWrite and beginRead start a transaction in one round trip. The number is the gateway's own lock; every database
// has locks of its own.
const (
	lockWriter = "SELECT pg_advisory_xact_lock(7164011)"
	// A node that vanishes in the middle keeps the others waiting for less than their lock_timeout.
	beginWrite = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '3s'; " + lockWriter
	beginRead  = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

func (e *postgresEngine) begin(ctx context.Context, c *conn, write bool) error {
	statement := beginRead
	if write {
		statement = beginWrite
	}
	_, err := c.ExecContext(ctx, statement, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (e *postgresEngine) open(ctx context.Context, t target) (*opened, error) {
	db := pool(e.of(t))
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		if isGone(err) {
			return nil, missing(t)
		}
		return nil, unavailable("connecting to the "+t.String(), err)
	}
	// Whoever removes a database ends its connections, so that no handle outlives it.
	return &opened{db: db, stale: func() error { return nil }}, nil
}

// pool prepares connections to one database; it does no I/O. It keeps nothing idle: lanes hold the connections.
func pool(c *pgx.ConnConfig) *sql.DB {
	db := stdlib.OpenDB(*c)
	db.SetMaxIdleConns(-1)
	return db
}

func (e *postgresEngine) setup(context.Context, *sql.Conn, bool) error { return nil }

func (e *postgresEngine) dialect() (goose.Dialect, []goose.ProviderOption) {
	return goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(migrationLock{})}
}

func (e *postgresEngine) writable() error { return nil }

func (e *postgresEngine) readers() int { return 2 }

// unhurried: copying a large table takes longer than any request may, and a reader idles while the other side writes.
func (e *postgresEngine) unhurried(ctx context.Context, tx *Tx) error {
	for _, setting := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := tx.Exec(ctx, "SET LOCAL "+setting+" = '1h'"); err != nil {
			return err
		}
	}
	return nil
}

func (e *postgresEngine) clock(ctx context.Context, tx *Tx) (time.Time, error) {
	var micro int64
	err := tx.QueryRow(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&micro)
	return time.UnixMicro(micro).UTC(), err
}

// migrationLock lets one node at a time migrate a database. The lock is the session's, so that it ends with a node that
// dies, and apart from the writer's, which every transaction of a migration would need.
type migrationLock struct{}

// SessionLock waits as long as ctx allows: another node's migration may take longer than any lock elsewhere. The
// session is the migration's own, and so are its limits.
func (migrationLock) SessionLock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "SET lock_timeout = 0; SET statement_timeout = 0; SELECT pg_advisory_lock(7164012)",
		pgx.QueryExecModeSimpleProtocol)
	return err
}

func (migrationLock) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "SELECT pg_advisory_unlock(7164012)")
	return err
}

func (e *postgresEngine) list(ctx context.Context) ([]policy.PracticeID, error) {
	var out []policy.PracticeID
	err := e.onServer(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `SELECT datname FROM pg_database WHERE datallowconn AND starts_with(datname, $1)`, e.prefix)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			if id, ok := e.practiceOf(name); ok {
				out = append(out, id)
			}
		}
		return rows.Err()
	})
	slices.Sort(out)
	return out, outageOrNil("listing the practices' databases", err)
}

// onServer runs fn on a connection to the practices' server that is to none of their databases.
func (e *postgresEngine) onServer(_ context.Context, fn func(*sql.DB) error) error {
	db := pool(e.named("postgres"))
	defer db.Close()
	return fn(db)
}

// classify: integrity and data errors are the caller's, all else means that nothing can be decided. A connection that
// the server or the network has ended, or may have, is not used again.
func (e *postgresEngine) classify(err error) class {
	if c, done := classifyCommon(err); done {
		return c
	}
	if state := sqlState(err); state != "" {
		return classifyState(state)
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout), pgconn.SafeToRetry(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed):
		return classBroken
	}
	return classCaller
}

// classifyState judges by SQLSTATE (PostgreSQL's documentation, appendix A).
func classifyState(state string) class {
	switch {
	case state == "23505":
		return classConflict
	case strings.HasPrefix(state, "23"), strings.HasPrefix(state, "22"): // integrity constraint, data
		return classCaller
	case state == "57014", // statement cancelled or timed out
		strings.HasPrefix(state, "25"), // read-only, failed transaction
		strings.HasPrefix(state, "40"), // rolled back: deadlock
		strings.HasPrefix(state, "42"), // syntax, permission
		strings.HasPrefix(state, "53"), // full, out of memory
		strings.HasPrefix(state, "55"): // lock timeout
		return classBusy
	}
	return classBroken // 08 connection, 57 shut down, 58 system, XX internal …
}

// isGone reports that the server has no such database (invalid_catalog_name), or that it is being removed (it accepts no
// connections).
func isGone(err error) bool {
	state := sqlState(err)
	return state == "3D000" || state == "55000"
}

// sqlState is the five-character code of an error that the server sent, "" of any other.
func sqlState(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

var _ engine = (*postgresEngine)(nil)
