package core

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"clinicgate/gateway/database"
)

// leases let one of the nodes that share a registry do a job. Who does it holds a lease
// that ends by the database's clock unless it is renewed, so that another node takes over
// from one that is gone. A node that cannot renew its lease stops before it ends.
type leases struct {
	db     *database.DB
	now    func() time.Time
	holder string
	length time.Duration
	renew  time.Duration
}

const (
	leaseLength  = 30 * time.Second
	leaseRenewal = 8 * time.Second
	leaseTimeout = 5 * time.Second // of one transaction; a renewal and a failed one fit into length
)

func newLeases(db *database.DB, now func() time.Time) *leases {
	return &leases{db: db, now: now, holder: rand.Text(), length: leaseLength, renew: leaseRenewal}
}

var errLeaseLost = errors.New("another node may have taken the job over")

// once does a job unless another node is at it, or it was done in the last period. ran
// says whether this node did it.
func (l *leases) once(ctx context.Context, name string, period time.Duration, job func(context.Context) error) (ran bool, err error) {
	begun := l.now()
	if ran, err := l.take(ctx, name, period); err != nil || !ran {
		return false, err
	}
	work, stop := context.WithCancelCause(ctx)
	deadline := time.AfterFunc(l.length-l.now().Sub(begun), func() { stop(errLeaseLost) })
	renewals := make(chan struct{})
	go func() {
		defer close(renewals)
		l.keep(work, name, deadline, stop)
	}()
	err = job(work)
	lost := context.Cause(work) != nil && ctx.Err() == nil
	stop(nil)
	<-renewals
	deadline.Stop()
	if lost {
		return true, errors.Join(err, errLeaseLost)
	}
	return true, errors.Join(err, l.release(ctx, name, err == nil))
}

// free reports whether this node may do the job now.
func (l *leases) free(ctx context.Context, tx *database.Tx, name string, now time.Time, period time.Duration) (bool, error) {
	var holder string
	var expires, done int64
	err := tx.QueryRow(ctx, `SELECT holder, expires, done FROM lease WHERE name = $1`, name).Scan(&holder, &expires, &done)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return err == nil && expires <= now.UnixMicro() && now.Sub(time.UnixMicro(done)) >= period, err
}

func (l *leases) take(ctx context.Context, name string, period time.Duration) (free bool, err error) {
	look := func(tx *database.Tx) (now time.Time, err error) {
		if now, err = tx.Clock(ctx); err == nil {
			free, err = l.free(ctx, tx, name, now, period)
		}
		return now, err
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	err = l.db.Read(ctx, func(tx *database.Tx) error { _, err := look(tx); return err }) // mostly there is nothing to do
	if err != nil || !free {
		return false, err
	}
	err = l.db.Write(ctx, func(tx *database.Tx) error {
		now, err := look(tx)
		if err != nil || !free {
			return err
		}
		const take = `INSERT INTO lease (name, holder, expires, done) VALUES ($1, $2, $3, 0)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires`
		_, err = tx.Exec(ctx, take, name, l.holder, now.Add(l.length).UnixMicro())
		return err
	})
	return free && err == nil, err
}

// keep renews the lease until the work is over, and stops the work when it is lost.
func (l *leases) keep(ctx context.Context, name string, deadline *time.Timer, stop context.CancelCauseFunc) {
	for sleep(ctx, l.renew) {
		begun := l.now()
		held, err := l.extend(ctx, name)
		switch {
		case err != nil: // the deadline stands
		case !held:
			stop(errLeaseLost)
		default:
			deadline.Reset(l.length - l.now().Sub(begun))
		}
	}
}

func (l *leases) extend(ctx context.Context, name string) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	err = l.db.Write(ctx, func(tx *database.Tx) error {
		now, err := tx.Clock(ctx)
		if err != nil {
			return err
		}
		const extend = `UPDATE lease SET expires = $1 WHERE name = $2 AND holder = $3 AND expires > $4`
		n, err := tx.Exec(ctx, extend, now.Add(l.length).UnixMicro(), name, l.holder, now.UnixMicro())
		held = n == 1
		return err
	})
	return held, err
}

// release gives the lease back, also when the node is closing. What was not done is
// somebody else's at once.
func (l *leases) release(ctx context.Context, name string, done bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	return l.db.Write(ctx, func(tx *database.Tx) error {
		now, err := tx.Clock(ctx)
		if err != nil {
			return err
		}
		const release = `UPDATE lease SET expires = 0 WHERE name = $1 AND holder = $2`
		const finish = `UPDATE lease SET expires = 0, done = $3 WHERE name = $1 AND holder = $2`
		if done {
			_, err = tx.Exec(ctx, finish, name, l.holder, now.UnixMicro())
		} else {
			_, err = tx.Exec(ctx, release, name, l.holder)
		}
		return err
	})
}
