package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// NewPerson is what is known of somebody who joins a practice.
type NewPerson struct {
	Email      string
	Name       string
	Roles      []string     // the practice's policy says which exist; at least one
	Password   vault.Secret // optional; without one they cannot sign in by password
	GraceUntil time.Time    // optional
}

// Add stores a person. It returns a *FieldError for what cannot be stored and
// ErrExists when the address is taken.
func (s *Service) Add(ctx context.Context, id policy.PracticeID, n NewPerson) (Person, error) {
	p, err := s.newPerson(n)
	if err != nil {
		return Person{}, err
	}
	var hash string
	if raw := reveal(n.Password); raw != "" {
		if hash, err = s.hashNew(ctx, id, p, raw); err != nil {
			return Person{}, err
		}
		p.HasPassword = true
	}
	err = s.db.Practice(id).Write(ctx, func(tx *database.Tx) error {
		return s.insert(ctx, tx, id, p, hash)
	})
	if err != nil {
		return Person{}, fmt.Errorf("adding person: %w", err)
	}
	return p, nil
}

func (s *Service) newPerson(n NewPerson) (Person, error) {
	email, err1 := CanonicalEmail(n.Email)
	name, err2 := canonicalName(n.Name)
	roles, err3 := canonicalRoles(n.Roles)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Person{}, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	return Person{
		ID: newID(now), Email: email, Name: name, Roles: roles,
		GraceUntil: timeOf(micros(n.GraceUntil)), CreatedAt: now,
	}, nil
}

func (s *Service) insert(ctx context.Context, tx *database.Tx, id policy.PracticeID, p Person, hash string) error {
	now := micros(p.CreatedAt)
	n, err := tx.Exec(ctx, `INSERT INTO person (practice, id, email, name, disabled_at, grace_until, created_at, changed_at)
		VALUES ($1, $2, $3, $4, 0, $5, $6, $6) ON CONFLICT (email) DO NOTHING`,
		string(id), p.ID, p.Email, p.Name, micros(p.GraceUntil), now)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrExists
	}
	if err := writeRoles(ctx, tx, id, p.ID, p.Roles); err != nil || hash == "" {
		return err
	}
	return s.writePassword(ctx, tx, id, p.ID, hash, now)
}

// writeRoles replaces the roles of a person.
func writeRoles(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID string, roles []string) error {
	_, err := tx.Exec(ctx, `DELETE FROM person_role WHERE practice = $1 AND person = $2`, string(id), personID)
	if err != nil {
		return err
	}
	for _, r := range roles {
		_, err := tx.Exec(ctx, `INSERT INTO person_role (practice, person, role) VALUES ($1, $2, $3)`, string(id), personID, r)
		if err != nil {
			return err
		}
	}
	return nil
}

// newID is a UUIDv7 (RFC 9562 section 5.7) of the given time.
func newID(now time.Time) string {
	var u uuid.UUID
	rand.Read(u[:])
	ms := now.UnixMilli()
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}
