package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// Tx is one transaction, valid inside the function it was handed to and on one goroutine. The zero Tx refuses.
//
// Statements are constant texts with placeholders $1, $2, …: each connection keeps them prepared. After a statement has
// failed the transaction is void, as it is on PostgreSQL: every further statement fails and Write keeps nothing, even
// when the function swallows the error.
type Tx struct {
	store *store
	conn  *conn
	open  []cursor
	fault error // the first failure, or errTxOver
}

// cursor is a result set the function may have left open. A prepared statement serves one result set at a time.
type cursor struct {
	query string
	rows  *sql.Rows
}

var (
	errTxOver  = errors.New("the transaction is over")
	errTimeArg = errors.New("a time.Time argument: times are stored as BIGINT, use UnixMicro")
)

// Exec runs a statement that returns no rows and says how many it changed.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (affected int64, err error) {
	if err := t.usable(args); err != nil {
		return 0, err
	}
	stmt, err := t.prepare(ctx, query)
	if err != nil {
		return 0, t.fail(err)
	}
	defer stmt.done()
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

// Query runs a statement that returns rows. Close them before the next statement: PostgreSQL insists on it.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := t.usable(args); err != nil {
		return nil, err
	}
	var rows *sql.Rows
	var err error
	if t.isOpen(query) {
		rows, err = t.conn.QueryContext(ctx, query, args...)
	} else if stmt, perr := t.prepare(ctx, query); perr != nil {
		err = perr
	} else {
		rows, err = stmt.QueryContext(ctx, args...)
	}
	if err != nil {
		return nil, t.fail(err)
	}
	t.open = append(t.open, cursor{query, rows})
	return rows, nil
}

// QueryRow runs a statement that returns at most one row. Scan must be called on the result: it releases the row, and
// reports sql.ErrNoRows and every failure.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if err := t.usable(args); err != nil {
		return refusedRow(err)
	}
	stmt, err := t.prepare(ctx, query)
	if err != nil {
		return refusedRow(t.fail(err))
	}
	row := stmt.QueryRowContext(ctx, args...)
	if err := row.Err(); err != nil {
		_ = t.fail(err)
	}
	return row
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
	return nil
}

// fail voids the transaction and returns err as callers are to see it.
func (t *Tx) fail(err error) error {
	err = t.store.judge("using", err)
	if t.fault == nil {
		t.fault = err
	}
	return err
}

// finish closes what the function left open and returns the transaction's first failure, if any.
func (t *Tx) finish() error {
	for _, c := range t.open {
		if err := c.rows.Err(); err != nil {
			_ = t.fail(err)
		}
		_ = c.rows.Close()
	}
	err := t.fault
	t.open, t.fault = nil, unavailable("using a transaction", errTxOver)
	return err
}

func (t *Tx) isOpen(query string) bool {
	for _, c := range t.open {
		if c.query == query {
			return true
		}
	}
	return false
}

// prepare returns the connection's prepared statement, or a fresh one when the prepared one may still have rows open.
func (t *Tx) prepare(ctx context.Context, query string) (statement, error) {
	if t.isOpen(query) {
		s, err := t.conn.PrepareContext(ctx, query)
		return statement{s, true}, err
	}
	return t.conn.statement(ctx, query)
}

// refusedRow is a row whose Scan fails with cause. database/sql has no constructor for one, but a pool whose connector
// fails makes it.
func refusedRow(cause error) *sql.Row {
	db := sql.OpenDB(refuser{cause})
	defer db.Close()
	return db.QueryRow("")
}

type refuser struct{ cause error }

func (r refuser) Connect(context.Context) (driver.Conn, error) { return nil, r.cause }
func (r refuser) Driver() driver.Driver                        { return nil }
