package database

import (
	"context"
	"errors"

	"clinicgate/policy"
)

// DB is the registry's database. The zero DB refuses.
type DB struct{ store *store }

// Read runs fn on a snapshot: what it reads belongs together, and it never waits for writers. fn must not write, and
// must not begin another transaction on the same database.
func (d *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	if d == nil || d.store == nil {
		return unavailable("reading the registry", errClosed)
	}
	return d.store.transact(ctx, d.store.read, false, fn)
}

// Write runs fn in the one write transaction there is at a time, across processes. When Write returns nil the changes
// are on the disk; otherwise none of them were made (after an error of the commit itself, look again). fn must be
// quick, and must not begin another transaction on the same database.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if d == nil || d.store == nil {
		return unavailable("writing the registry", errClosed)
	}
	return d.store.transact(ctx, d.store.write, true, fn)
}

// PracticeDB is one practice's own database. The zero value refuses. It is a name, not an open file: keep it or make
// it anew, as you like.
type PracticeDB struct {
	set *Set
	id  policy.PracticeID
}

// Practice says whose database this is.
func (d *PracticeDB) Practice() policy.PracticeID { return d.id }

// Read is DB.Read on the practice's database; ErrMissing when there is none.
func (d *PracticeDB) Read(ctx context.Context, fn func(*Tx) error) error {
	return d.transact(ctx, false, fn)
}

// Write is DB.Write on the practice's database; ErrMissing when there is none.
func (d *PracticeDB) Write(ctx context.Context, fn func(*Tx) error) error {
	return d.transact(ctx, true, fn)
}

func (d *PracticeDB) transact(ctx context.Context, write bool, fn func(*Tx) error) error {
	if d == nil || d.set == nil {
		return unavailable("using a practice's database", errClosed)
	}
	err := d.attempt(ctx, write, fn)
	if errors.Is(err, errLost) { // nothing has been done; whoever has its place now is opened
		err = d.attempt(ctx, write, fn)
	}
	return err
}

// errLost says that the handle was of a database that is not there any more.
var errLost = errors.New("the database has been replaced")

func (d *PracticeDB) attempt(ctx context.Context, write bool, fn func(*Tx) error) error {
	h, err := d.set.acquire(ctx, d.id)
	if err != nil {
		return err
	}
	defer d.set.release(h)
	l := h.store.read
	if write {
		l = h.store.write
	}
	err = h.store.transact(ctx, l, write, fn)
	if (errors.Is(err, ErrSwapped) || errors.Is(err, ErrMissing)) && h.store.lost.Load() {
		d.set.forget(h)
		err = errors.Join(err, errLost)
	}
	return err
}
