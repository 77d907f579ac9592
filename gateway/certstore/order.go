package certstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// How many certificates are ordered within OrderWindow, by all nodes together. Public authorities allow 300 in three
// hours for one account (Let's Encrypt, "new orders per account"); a practice has 100 hosts at most, nearly always one.
const (
	OrderWindow      = 3 * time.Hour
	OrdersPractice   = 20
	OrdersAltogether = 250
)

// ErrTooMany says that a certificate is not to be ordered now.
var ErrTooMany = errors.New("too many certificates were ordered lately")

// Order takes one order from the budgets of a practice and of the installation, or refuses it with ErrTooMany. A
// refused order takes nothing. practice is empty for a host that is no practice's.
func (s *Store) Order(ctx context.Context, practice policy.PracticeID) error {
	if s == nil || s.reg == nil {
		return errZero
	}
	now := s.now()
	return s.reg.Write(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM certificate_order WHERE at <= $1`, now.Add(-OrderWindow).UnixMicro()); err != nil {
			return err
		}
		var all, own int64
		const count = `SELECT count(*), coalesce(sum(CASE WHEN practice = $1 THEN 1 ELSE 0 END), 0) FROM certificate_order`
		if err := tx.QueryRow(ctx, count, string(practice)).Scan(&all, &own); err != nil {
			return err
		}
		switch {
		case practice != "" && own >= OrdersPractice:
			return fmt.Errorf("%w: %d for practice %s within %s", ErrTooMany, own, practice, OrderWindow)
		case all >= OrdersAltogether:
			return fmt.Errorf("%w: %d altogether within %s", ErrTooMany, all, OrderWindow)
		}
		const add = `INSERT INTO certificate_order (id, practice, at) VALUES ($1, $2, $3)`
		_, err := tx.Exec(ctx, add, rand.Text(), string(practice), now.UnixMicro())
		return err
	})
}

// FirstToday reports, to one caller a day over all nodes, that nobody has been told of this about the host today.
func (s *Store) FirstToday(ctx context.Context, host, kind string) (first bool, err error) {
	if s == nil || s.reg == nil {
		return false, errZero
	}
	day := s.now().Unix() / int64((24 * time.Hour).Seconds())
	err = s.reg.Write(ctx, func(tx *database.Tx) error {
		const claim = `INSERT INTO certificate_warning (host, kind, day) VALUES ($1, $2, $3)
			ON CONFLICT (host, kind) DO UPDATE SET day = excluded.day WHERE certificate_warning.day < excluded.day`
		n, err := tx.Exec(ctx, claim, host, kind, day)
		first = n == 1
		return err
	})
	return first && err == nil, err
}

// NotToday takes FirstToday back: what was to be told could not be.
func (s *Store) NotToday(ctx context.Context, host, kind string) error {
	return s.reg.Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM certificate_warning WHERE host = $1 AND kind = $2`, host, kind)
		return err
	})
}
