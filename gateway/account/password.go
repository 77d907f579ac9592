package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"clinicgate/gateway/database"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// SetPassword gives a person a new password, or returns a *FieldError that
// says in plain English why this one will not do. Their known devices are
// forgotten: whoever knew the old password may have one.
func (s *Service) SetPassword(ctx context.Context, id policy.PracticeID, personID string, password vault.Secret) error {
	p, err := s.ByID(ctx, id, personID)
	if err != nil {
		return err
	}
	hash, err := s.hashNew(ctx, id, p, reveal(password))
	if err != nil {
		return err
	}
	return s.change(ctx, id, personID, func(tx *database.Tx, _ Person) error {
		if err := forget(ctx, tx, id, personID, "known_device"); err != nil {
			return err
		}
		return s.writePassword(ctx, tx, id, personID, hash, micros(s.now()))
	})
}

// hashNew checks and hashes a password that p chose.
func (s *Service) hashNew(ctx context.Context, id policy.PracticeID, p Person, raw string) (hash string, err error) {
	pepper, err := s.pepper(ctx, id)
	if err != nil {
		return "", err
	}
	words := wordsOf(p.Email, p.Name, s.nameOf(id), string(id))
	err = s.hashes.Do(ctx, func(turn *hashing.Turn) error {
		password, err := newPassword(raw, words, s.breached)
		if err != nil {
			return err
		}
		h, err := newPHC(turn, s.params, pepper.mix(p.ID, password))
		hash = h.String()
		return err
	})
	if err != nil {
		return "", err
	}
	return hash, nil
}

func (s *Service) writePassword(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID, hash string, now int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO password (practice, person, phc, cost, version, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (person) DO UPDATE SET practice = excluded.practice, phc = excluded.phc, cost = excluded.cost,
		version = excluded.version, changed_at = excluded.changed_at`,
		string(id), personID, hash, s.params.String(), rand.Text(), now)
	return err
}

// pepper is a key that the database does not hold, so that a stolen database
// alone cannot be guessed against. Each practice has its own.
type pepper []byte

func (s *Service) pepper(ctx context.Context, id policy.PracticeID) (pepper, error) {
	keys, err := s.vault.Practice(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the practice's key: %w", err)
	}
	return keys.Derive("password pepper"), nil
}

// mix is what argon2id hashes: HMAC-SHA-256 under the pepper of the person's
// id and the password. With the id in it, a hash that is copied to another
// person's row opens nothing.
func (p pepper) mix(personID, password string) mixed {
	m := hmac.New(sha256.New, p)
	m.Write(binary.AppendUvarint(nil, uint64(len(personID))))
	m.Write([]byte(personID))
	m.Write([]byte(password))
	return mixed(m.Sum(nil))
}

func reveal(s vault.Secret) string { return string(s.Reveal()) }
