package database

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"clinicgate/policy"
)

// Tx is one transaction, valid inside the function it was handed to and on one goroutine. The zero Tx refuses.
//
// Statements are constant texts with placeholders $1, $2, …: each connection keeps them prepared. After a statement has
// failed the transaction is void, as it is on PostgreSQL: every further statement fails and Write keeps nothing, even
// when the function swallows the error.
type Tx struct {
	store *store
	conn  *conn
	rows  *sql.Rows // the last result set, which the function may have left open
	fault error     // the first failure, or errTxOver
}

var (
	errTxOver  = errors.New("the transaction is over")
	errRows    = errors.New("a statement while the rows of the one before are open: close them first")
	errTimeArg = errors.New("a time.Time argument: times are stored as BIGINT, use UnixMicro")
)

// Practice is whose database the transaction works on, "" the registry, and in which generation of that practice.
func (t *Tx) Practice() (id policy.PracticeID, generation int64) {
	if t == nil || t.store == nil {
		return "", 0
	}
	return t.store.target.practice, t.store.target.generation
}

// Clock tells the time by the clock that all who have the databases open share: leases end by it.
func (t *Tx) Clock(ctx context.Context) (time.Time, error) {
	if err := t.usable(nil); err != nil {
		return time.Time{}, err
	}
	return t.store.engine.clock(ctx, t)
}

// unhurried lets this transaction take longer than any that people wait for.
func (t *Tx) unhurried(ctx context.Context) error { return t.store.engine.unhurried(ctx, t) }

// Exec runs a statement that returns no rows and says how many it changed.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (affected int64, err error) {
	if err := t.usable(args); err != nil {
		return 0, err
	}
	stmt, err := t.conn.statement(ctx, query)
	if err != nil {
		return 0, t.fail(err)
	}
	res, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, t.fail(err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, t.fail(err)
	}
	return n, nil
}

// Query runs a statement that returns rows. Close them before the next statement: PostgreSQL serves one at a time, so
// that a statement in between voids the transaction.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := t.usable(args); err != nil {
		return nil, err
	}
	stmt, err := t.conn.statement(ctx, query)
	if err != nil {
		return nil, t.fail(err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, t.fail(err)
	}
	t.rows = rows
	return rows, nil
}

// QueryRow runs a statement that returns at most one row. Scan the result before the next statement.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *Row {
	rows, err := t.Query(ctx, query, args...)
	return &Row{tx: t, rows: rows, err: err}
}

// Row is the result of QueryRow: sql.Row's methods, but a row nobody scanned is released with its transaction. (A
// statement of SQLite's that is closed under an open row ends the program.)
type Row struct {
	tx   *Tx
	rows *sql.Rows
	err  error
}

// Err returns the error of the query, without scanning the row.
func (r *Row) Err() error { return r.err }

// Scan copies the row's columns into dest and releases it; sql.ErrNoRows when there is none.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	found := r.rows.Next()
	var err error
	if found {
		err = r.rows.Scan(dest...)
	}
	_ = r.rows.Close()
	if ferr := r.rows.Err(); ferr != nil {
		return r.tx.fail(ferr)
	}
	if !found {
		return sql.ErrNoRows
	}
	return err
}

// usable refuses the statement of a void or finished transaction, and arguments that would be stored in a form no
// other engine reads.
func (t *Tx) usable(args []any) error {
	if t == nil || t.conn == nil {
		return unavailable("using a transaction", errTxOver)
	}
	if t.fault != nil {
		return t.fault
	}
	for _, a := range args {
		if _, bad := a.(time.Time); bad {
			return t.fail(errTimeArg)
		}
	}
	return t.closed()
}

// fail voids the transaction and returns err as callers are to see it.
func (t *Tx) fail(err error) error {
	err = t.store.judge("using", err)
	if t.fault == nil {
		t.fault = err
	}
	return err
}

// closed fails if the rows of the statement before are still open, or ended with an error nobody has looked at.
func (t *Tx) closed() error {
	if t.rows == nil {
		return nil
	}
	if _, err := t.rows.Columns(); err == nil {
		return t.fail(errRows)
	}
	rows := t.rows
	t.rows = nil
	if err := rows.Err(); err != nil {
		return t.fail(err)
	}
	return nil
}

// finish closes what the function left open and returns the transaction's first failure, if any.
func (t *Tx) finish() error {
	if t.rows != nil {
		if err := t.rows.Err(); err != nil {
			_ = t.fail(err)
		}
		_ = t.rows.Close()
	}
	err := t.fault
	t.rows, t.fault = nil, unavailable("using a transaction", errTxOver)
	return err
}
