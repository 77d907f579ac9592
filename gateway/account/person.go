package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Person is somebody of one practice, as they were when they were read.
type Person struct {
	ID          string // UUIDv7, stable for ever: the backend's X-User-Id
	Email       string // canonical
	Name        string
	Roles       []string // sorted
	Disabled    bool
	HasPassword bool
	HasTOTP     bool
	GraceUntil  time.Time // own date for the second factor; zero = the policy's
	CreatedAt   time.Time
}

// HasRole reports whether p holds role.
func (p Person) HasRole(role string) bool {
	for _, r := range p.Roles {
		if r == role {
			return true
		}
	}
	return false
}

func (p Person) activeAdmin() bool { return !p.Disabled && p.HasRole(RoleAdmin) }

// ByID returns the person with that id, or ErrUnknown.
func (s *Service) ByID(ctx context.Context, id policy.PracticeID, personID string) (Person, error) {
	return s.read(ctx, id, "p.id", personID)
}

// ByEmail returns the person with that address, however it is written, or
// ErrUnknown.
func (s *Service) ByEmail(ctx context.Context, id policy.PracticeID, email string) (Person, error) {
	canonical, err := CanonicalEmail(email)
	if err != nil {
		return Person{}, ErrUnknown
	}
	return s.read(ctx, id, "p.email", canonical)
}

// List returns everybody of the practice, disabled people too, by address.
func (s *Service) List(ctx context.Context, id policy.PracticeID) ([]Person, error) {
	var people []Person
	err := s.db.Practice(id).Read(ctx, func(tx *database.Tx) (err error) {
		people, err = list(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing people: %w", err)
	}
	return people, nil
}

func (s *Service) read(ctx context.Context, id policy.PracticeID, column, value string) (p Person, err error) {
	err = s.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		p, err = readPerson(ctx, tx, id, column, value)
		return err
	})
	if err != nil {
		return Person{}, fmt.Errorf("reading person: %w", err)
	}
	return p, nil
}

const selectPerson = `
SELECT p.practice, p.id, p.email, p.name, p.disabled_at, p.grace_until, p.created_at,
       (SELECT COUNT(*) FROM password w WHERE w.person = p.id AND w.practice = p.practice),
       (SELECT COUNT(*) FROM totp t WHERE t.person = p.id AND t.practice = p.practice)
FROM person p`

// readPerson reads the person whose column, a constant of ours, has value.
func readPerson(ctx context.Context, tx *database.Tx, id policy.PracticeID, column, value string) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, selectPerson+" WHERE "+column+" = $1", value), id)
	if errors.Is(err, sql.ErrNoRows) {
		return Person{}, ErrUnknown
	}
	if err != nil {
		return Person{}, err
	}
	return p, eachRow(ctx, tx, func(rows *sql.Rows) error {
		var role string
		err := rows.Scan(&role)
		p.Roles = append(p.Roles, role)
		return err
	}, `SELECT role FROM person_role WHERE practice = $1 AND person = $2 ORDER BY role`, string(id), p.ID)
}

func list(ctx context.Context, tx *database.Tx, id policy.PracticeID) ([]Person, error) {
	var people []Person
	place := map[string]int{}
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		p, err := scanPerson(rows, id)
		place[p.ID] = len(people)
		people = append(people, p)
		return err
	}, selectPerson+" ORDER BY p.email")
	if err != nil {
		return nil, err
	}
	return people, eachRow(ctx, tx, func(rows *sql.Rows) error {
		var person, role string
		err := rows.Scan(&person, &role)
		if i, ok := place[person]; ok {
			people[i].Roles = append(people[i].Roles, role)
		}
		return err
	}, `SELECT person, role FROM person_role WHERE practice = $1 ORDER BY person, role`, string(id))
}

// scanPerson reads one row of selectPerson and checks whose it is.
func scanPerson(row interface{ Scan(...any) error }, id policy.PracticeID) (Person, error) {
	var p Person
	var practice string
	var disabled, grace, created, passwords, totps int64
	err := row.Scan(&practice, &p.ID, &p.Email, &p.Name, &disabled, &grace, &created, &passwords, &totps)
	if err != nil {
		return Person{}, err
	}
	if practice != string(id) {
		return Person{}, ErrForeign
	}
	p.Disabled, p.HasPassword, p.HasTOTP = disabled != 0, passwords > 0, totps > 0
	p.GraceUntil, p.CreatedAt = timeOf(grace), timeOf(created)
	return p, nil
}

// eachRow calls scan for every row of a query.
func eachRow(ctx context.Context, tx *database.Tx, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// micros is a time as it is stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOf is the reverse of micros, in UTC.
func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
