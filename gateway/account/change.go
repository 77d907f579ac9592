package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Override is a deliberate exception that a caller spells out.
type Override int8

// EvenLastAdmin allows a change that leaves the practice without an active
// practice_admin: for an operator who is about to add another.
const EvenLastAdmin Override = 1

// SetRoles replaces the roles of a person. It returns ErrLastAdmin when that
// would take the last practice_admin.
func (s *Service) SetRoles(ctx context.Context, id policy.PracticeID, personID string, roles []string, o ...Override) error {
	roles, err := canonicalRoles(roles)
	if err != nil {
		return err
	}
	return s.change(ctx, id, personID, func(tx *database.Tx, p Person) error {
		if p.activeAdmin() && !slices.Contains(roles, RoleAdmin) {
			if err := keepAdmin(ctx, tx, id, personID, o); err != nil {
				return err
			}
		}
		return writeRoles(ctx, tx, id, personID, roles)
	})
}

// SetDisabled shuts a person out, at once and everywhere, or lets them in
// again. It returns ErrLastAdmin when that would take the last practice_admin.
// A disabled person keeps password and authenticator app; their waiting
// enrolment and known devices are forgotten.
func (s *Service) SetDisabled(ctx context.Context, id policy.PracticeID, personID string, disabled bool, o ...Override) error {
	return s.change(ctx, id, personID, func(tx *database.Tx, p Person) error {
		var at int64
		if disabled {
			at = micros(s.now())
			if p.activeAdmin() {
				if err := keepAdmin(ctx, tx, id, personID, o); err != nil {
					return err
				}
			}
			if err := forget(ctx, tx, id, personID, "totp_pending", "known_device"); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE person SET disabled_at = $1 WHERE practice = $2 AND id = $3`, at, string(id), personID)
		return err
	})
}

// Rename changes the name that colleagues and the backend see.
func (s *Service) Rename(ctx context.Context, id policy.PracticeID, personID, name string) error {
	name, err := canonicalName(name)
	if err != nil {
		return err
	}
	return s.change(ctx, id, personID, func(tx *database.Tx, _ Person) error {
		_, err := tx.Exec(ctx, `UPDATE person SET name = $1 WHERE practice = $2 AND id = $3`, name, string(id), personID)
		return err
	})
}

// SetGrace sets a person's own date until which the stage "grace" lets them in
// without a second factor; the zero time leaves it to the policy.
func (s *Service) SetGrace(ctx context.Context, id policy.PracticeID, personID string, until time.Time) error {
	return s.change(ctx, id, personID, func(tx *database.Tx, _ Person) error {
		_, err := tx.Exec(ctx, `UPDATE person SET grace_until = $1 WHERE practice = $2 AND id = $3`, micros(until), string(id), personID)
		return err
	})
}

// ResetFactors removes the authenticator app, a waiting enrolment and the known
// devices of a person who lost their phone. It never makes a second factor:
// where one is required they must enrol again (THREATS F4).
func (s *Service) ResetFactors(ctx context.Context, id policy.PracticeID, personID string) error {
	return s.change(ctx, id, personID, func(tx *database.Tx, _ Person) error {
		return forget(ctx, tx, id, personID, "totp", "totp_pending", "known_device")
	})
}

// change is the one way to alter a person: what fn does and the note of when
// are one transaction, and afterwards live sessions are told. They are told
// also when fn found nothing to do, so that repeating a change whose
// announcement was lost repeats the announcement.
//
// Write transactions of one practice run one after the other, so what fn reads
// (is there another admin?) still holds when it is committed.
func (s *Service) change(ctx context.Context, id policy.PracticeID, personID string, fn func(*database.Tx, Person) error) error {
	if s.changed == nil {
		return errors.New("changing person: no Changed hook is set, so signed-in sessions would not follow")
	}
	err := s.db.Practice(id).Write(ctx, func(tx *database.Tx) error {
		p, err := readPerson(ctx, tx, id, "p.id", personID)
		if err != nil {
			return err
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE person SET changed_at = $1 WHERE practice = $2 AND id = $3`, micros(s.now()), string(id), personID)
		return err
	})
	if err != nil {
		return fmt.Errorf("changing person: %w", err)
	}
	return s.announce(ctx, id, personID)
}

// announce tells live sessions. Somebody who closes the browser right after
// pressing the button must not keep that from happening, so it does not stop
// when ctx does.
func (s *Service) announce(ctx context.Context, id policy.PracticeID, personID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	var err error
	for range announceTries {
		if err = s.changed(ctx, id, personID); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrNotAnnounced, err)
}

const (
	announceTimeout = 5 * time.Second
	announceTries   = 3
)

// keepAdmin returns ErrLastAdmin unless another active admin remains.
func keepAdmin(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID string, o []Override) error {
	if slices.Contains(o, EvenLastAdmin) {
		return nil
	}
	var others int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM person p JOIN person_role r ON r.person = p.id AND r.practice = p.practice
		WHERE p.practice = $1 AND p.id <> $2 AND p.disabled_at = 0 AND r.role = $3`,
		string(id), personID, RoleAdmin).Scan(&others)
	if err == nil && others == 0 {
		return ErrLastAdmin
	}
	return err
}

// forget deletes what the given tables, named by us, hold of a person.
func forget(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID string, tables ...string) error {
	for _, t := range tables {
		_, err := tx.Exec(ctx, `DELETE FROM `+t+` WHERE practice = $1 AND person = $2`, string(id), personID)
		if err != nil {
			return err
		}
	}
	return nil
}
