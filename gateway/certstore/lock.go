package certstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
)

// Pace is how locks live. Its durations are measured by each node for itself.
type Pace struct {
	Beat time.Duration // an owner says so often that it lives
	Look time.Duration // who waits looks so often
	Dead time.Duration // an owner that was watched for so long without a beat is dead
}

// usualPace forgives an owner three beats. An order takes some seconds.
var usualPace = Pace{Beat: 5 * time.Second, Look: 500 * time.Millisecond, Dead: 20 * time.Second}

// ErrLost says that a lock went to another owner while it was held: this process, or its way to the database, stood
// still for longer than Pace.Dead.
var ErrLost = errors.New("the lock was lost to another node")

// hold is a lock that this process has.
type hold struct {
	owner string
	stop  context.CancelFunc
}

// sight is the row of a lock as a waiter saw it. The zero sight is a free lock.
type sight struct {
	owner string
	beat  int64
}

// Lock waits until the lock is free and takes it; it ends when the context does, or the database fails.
func (s *Store) Lock(ctx context.Context, name string) error {
	err := s.lock(ctx, name)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("waiting for %s: %w", name, ctx.Err()) // whatever the database made of it
	}
	return err
}

// lock is Lock.
//
// No clock is compared with another node's. Who holds a lock counts a number up in the database; who waits takes the
// lock over when it has watched that number stand still for Pace.Dead of its own time, and exactly one waiter does,
// because the takeover names the number. A time in which the waiter could not look counts for nothing, so that an
// outage of the database kills nobody.
func (s *Store) lock(ctx context.Context, name string) error {
	if _, err := s.keys(ctx, name); err != nil {
		return err
	}
	me := rand.Text()
	var seen sight
	var since, last time.Time
	for {
		now := s.now()
		row, err := s.look(ctx, name)
		if err != nil {
			return err
		}
		if row != seen || now.Sub(last) > s.pace.Dead/2 {
			seen, since = row, now
		}
		last = now
		if row == (sight{}) || now.Sub(since) >= s.pace.Dead {
			taken, err := s.take(ctx, name, me, row)
			if err != nil {
				return err
			}
			if taken {
				return s.hold(name, me)
			}
		}
		if err := wait(ctx, s.pace.Look); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (s *Store) look(ctx context.Context, name string) (row sight, err error) {
	err = s.reg.Read(ctx, func(tx *database.Tx) error {
		return tx.QueryRow(ctx, `SELECT owner, beat FROM certificate_lock WHERE name = $1`, name).Scan(&row.owner, &row.beat)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return sight{}, nil
	}
	return row, err
}

// take makes the lock ours if it still is as it was seen.
func (s *Store) take(ctx context.Context, name, me string, as sight) (taken bool, err error) {
	err = s.reg.Write(ctx, func(tx *database.Tx) error {
		var n int64
		var err error
		if as == (sight{}) {
			const add = `INSERT INTO certificate_lock (name, owner, beat) VALUES ($1, $2, 0) ON CONFLICT (name) DO NOTHING`
			n, err = tx.Exec(ctx, add, name, me)
		} else {
			const replace = `UPDATE certificate_lock SET owner = $1, beat = 0 WHERE name = $2 AND owner = $3 AND beat = $4`
			n, err = tx.Exec(ctx, replace, me, name, as.owner, as.beat)
		}
		taken = n == 1
		return err
	})
	return taken && err == nil, err
}

// hold keeps a lock that was taken alive until it is given back.
func (s *Store) hold(name, me string) error {
	ctx, stop := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		stop()
		return errZero
	}
	s.held[name] = append(s.held[name], &hold{owner: me, stop: stop})
	s.renewal.Go(func() { s.renew(ctx, name, me) })
	return nil
}

// renew beats until it is stopped or the lock is another's. A beat that fails is followed by the next.
func (s *Store) renew(ctx context.Context, name, me string) {
	for wait(ctx, s.pace.Beat) == nil {
		lost := false
		_ = s.reg.Write(ctx, func(tx *database.Tx) error {
			n, err := tx.Exec(ctx, `UPDATE certificate_lock SET beat = beat + 1 WHERE name = $1 AND owner = $2`, name, me)
			lost = err == nil && n == 0
			return err
		})
		if lost {
			return
		}
	}
}

// Unlock gives a lock back. When the database cannot be told, the lock ends by itself.
func (s *Store) Unlock(ctx context.Context, name string) error {
	if s == nil || s.reg == nil {
		return errZero
	}
	s.mu.Lock()
	holds := s.held[name]
	if len(holds) == 0 {
		s.mu.Unlock()
		return fmt.Errorf("giving back %s: this process does not hold it", name)
	}
	first := holds[0] // one that was lost came first
	if s.held[name] = holds[1:]; len(holds) == 1 {
		delete(s.held, name)
	}
	s.mu.Unlock()
	first.stop()
	return s.free(ctx, name, first.owner)
}

func (s *Store) free(ctx context.Context, name, owner string) error {
	return s.reg.Write(ctx, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM certificate_lock WHERE name = $1 AND owner = $2`, name, owner)
		if err == nil && n == 0 {
			err = fmt.Errorf("giving back %s: %w", name, ErrLost)
		}
		return err
	})
}

// Close gives back what is still held, so that other nodes need not wait for its end. The store is not used after.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	held := s.held
	s.held = nil
	s.mu.Unlock()
	var failures []error
	for name, holds := range held {
		for _, h := range holds {
			h.stop()
			if err := s.free(ctx, name, h.owner); err != nil && !errors.Is(err, ErrLost) {
				failures = append(failures, err)
			}
		}
	}
	s.renewal.Wait()
	return errors.Join(failures...)
}
