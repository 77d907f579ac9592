package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// A known device is a browser that somebody has signed in from. It proves
// nobody's identity; it only keeps strangers' failures from locking its people
// out (THREATS L2).
const (
	deviceLife  = 180 * 24 * time.Hour // after its last sign-in
	maxDevices  = 20                   // for each person; the longest unused goes
	deviceBytes = 16                   // 128 random bits
)

// RememberDevice notes that a person has signed in from the browser whose
// cookie holds token, and returns the token to keep there. It is the same one
// when this practice gave it out, so that people who share a workstation share
// one cookie; any other value, "" too, is replaced by a new one, so that
// nobody can plant a token of their choosing.
func (s *Service) RememberDevice(ctx context.Context, id policy.PracticeID, personID, token string) (string, error) {
	hash, wellFormed := hashToken(token)
	now := s.now()
	err := s.db.Practice(id).Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM known_device WHERE practice = $1 AND last_used <= $2`, string(id), micros(now.Add(-deviceLife)))
		if err != nil {
			return err
		}
		known := false
		if wellFormed {
			if known, err = deviceExists(ctx, tx, id, hash); err != nil {
				return err
			}
		}
		if !known {
			token, hash = newToken()
		}
		return remember(ctx, tx, id, personID, hash, micros(now))
	})
	if err != nil {
		return "", fmt.Errorf("remembering device: %w", err)
	}
	return token, nil
}

// KnownDevice reports whether the person with that address has signed in from
// the browser whose cookie holds token. An address that nobody has is no error.
func (s *Service) KnownDevice(ctx context.Context, id policy.PracticeID, token, email string) (bool, error) {
	hash, ok := hashToken(token)
	canonical, err := CanonicalEmail(email)
	if !ok || err != nil {
		return false, nil
	}
	var n int64
	err = s.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM known_device d JOIN person p ON p.id = d.person AND p.practice = d.practice
			WHERE d.practice = $1 AND d.token_hash = $2 AND d.last_used > $3 AND p.email = $4`,
			string(id), hash, micros(s.now().Add(-deviceLife)), canonical).Scan(&n)
	})
	if err != nil {
		return false, fmt.Errorf("looking up device: %w", err)
	}
	return n > 0, nil
}

func deviceExists(ctx context.Context, tx *database.Tx, id policy.PracticeID, hash []byte) (bool, error) {
	var n int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM known_device WHERE practice = $1 AND token_hash = $2`, string(id), hash).Scan(&n)
	return n > 0, err
}

func remember(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID string, hash []byte, now int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO known_device (practice, token_hash, person, created_at, last_used) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (token_hash, person) DO UPDATE SET last_used = excluded.last_used`, string(id), hash, personID, now)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM known_device WHERE practice = $1 AND person = $2 AND token_hash NOT IN (
		SELECT token_hash FROM known_device WHERE practice = $1 AND person = $2
		ORDER BY CASE WHEN token_hash = $3 THEN 0 ELSE 1 END, last_used DESC LIMIT $4)`,
		string(id), personID, hash, maxDevices)
	return err
}

var tokenBase64 = base64.RawURLEncoding.Strict()

func newToken() (token string, hash []byte) {
	var b [deviceBytes]byte
	rand.Read(b[:])
	token = tokenBase64.EncodeToString(b[:])
	hash, _ = hashToken(token)
	return token, hash
}

// hashToken is what the database holds in the place of a token, so that a
// stolen database holds no cookie. A token has full entropy: no salt is needed.
func hashToken(token string) ([]byte, bool) {
	if len(token) != tokenBase64.EncodedLen(deviceBytes) {
		return nil, false
	}
	b, err := tokenBase64.DecodeString(token)
	if err != nil {
		return nil, false
	}
	sum := sha256.Sum256(b)
	return sum[:], true
}
