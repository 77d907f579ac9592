package seed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"clinicgate/gateway/database"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// Sessions writes n sessions with a second factor, signed in now and shared out over the people, straight into the
// practice's database: one by one through the session manager a million would take hours. It returns the cookie
// values. A test holds this against the manager's own look-up.
func (i *Installation) Sessions(ctx context.Context, id policy.PracticeID, people []Person, n int, say func(done int)) ([]string, error) {
	const batch = 20_000
	cookies := make([]string, 0, n)
	for len(cookies) < n {
		size := min(batch, n-len(cookies))
		err := i.core.DB.Practice(id).Write(ctx, func(tx *database.Tx) error {
			for range size {
				token, err := i.core.Sessions.NewToken(ctx, id)
				if err != nil {
					return err
				}
				person := people[len(cookies)%len(people)]
				if err := writeSession(ctx, tx, id, person.ID, token.Reveal(), time.Now()); err != nil {
					return err
				}
				cookies = append(cookies, token.Reveal())
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("writing sessions: %w", err)
		}
		say(len(cookies))
	}
	return cookies, nil
}

const (
	insertSession = `INSERT INTO session (practice, id, person, created, last_seen, agent, addr) VALUES ($1, $2, $3, $4, $4, $5, $6)`
	insertToken   = `INSERT INTO session_token (hash, practice, session, dies_at, proved_aal1, proved_aal2, proved_pr, held, amr)
		VALUES ($1, $2, $3, 0, $4, $4, 0, 0, $5)`
)

func writeSession(ctx context.Context, tx *database.Tx, id policy.PracticeID, person, token string, now time.Time) error {
	public := uuid.NewString()
	if _, err := tx.Exec(ctx, insertSession, string(id), public, person, now.UnixMicro(), "Benchmark", "127.0.0.1"); err != nil {
		return err
	}
	hash, err := tokenHash(id, token)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertToken, hash, string(id), public, now.UnixMicro(), "pwd,otp,mfa")
	return err
}

// tokenHash is what the session package stores instead of a token: SHA-256 over 's', the practice with its length,
// and the token's 40 bytes.
func tokenHash(id policy.PracticeID, token string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token[len("s1."):])
	if err != nil {
		return nil, fmt.Errorf("reading a token of the session package: %w", err)
	}
	text := append([]byte{'s', byte(len(id))}, id...)
	sum := sha256.Sum256(append(text, raw...))
	return sum[:], nil
}

// People makes n people with an authenticator app but no password: they own sessions and cannot sign in.
func (i *Installation) People(ctx context.Context, id policy.PracticeID, role string, n int) ([]Person, error) {
	people := make([]Person, n)
	for k := range people {
		var err error
		if people[k], err = i.add(ctx, id, Person{Email: "person-" + strconv.Itoa(k) + "@bench.test"}, role); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// Limits are what the practice's policy sets for its sessions, as the session manager wants them.
func Limits(doc policy.Document, platform policy.Platform) (session.Practice, error) {
	p, err := policy.Compile(doc, platform)
	if err != nil {
		return session.Practice{}, err
	}
	return session.Practice{ID: p.Practice(), Idle: p.Idle(), Absolute: p.Absolute(), OutageGrace: p.OutageGrace(), MaxPerUser: p.MaxPerUser()}, nil
}
