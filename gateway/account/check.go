package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"clinicgate/gateway/database"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// CheckPassword returns the person whose address and password these are. An
// unknown address, a wrong password, a disabled person, a person without
// password and a person of another practice all get ErrRefused after the same
// work (THREATS L1): there is one way through this function, on which a
// candidate is always found, always hashed, and only then judged. ErrBusy and
// every other error decided nothing. With ErrRefused the
// person has nothing but the ID of whose address it is, if anybody's: for the audit log,
// never for the answer.
func (s *Service) CheckPassword(ctx context.Context, id policy.PracticeID, email string, password vault.Secret) (Person, error) {
	pepper, err := s.pepper(ctx, id)
	if err != nil {
		return Person{}, err
	}
	c, err := s.candidate(ctx, id, pepper, email)
	if err != nil {
		return Person{}, fmt.Errorf("checking password: %w", err)
	}
	typed, typable := canonicalPassword(reveal(password))
	input := pepper.mix(c.personID, typed)
	var same bool
	var renewed string
	err = s.hashes.Do(ctx, func(turn *hashing.Turn) (err error) {
		if same, err = c.hash.matches(turn, input); err != nil {
			return err
		}
		if same && c.usable && c.hash.params != s.params {
			if h, err := newPHC(turn, s.params, input); err == nil { // else the old one goes on working
				renewed = h.String()
			}
		}
		return nil
	})
	if err != nil {
		return Person{}, err
	}
	if !same || !c.usable || !typable {
		return Person{ID: c.personID}, ErrRefused
	}
	return s.admit(ctx, id, c, renewed)
}

// candidate is what a password is compared with.
type candidate struct {
	personID string // "" for a decoy
	stored   string
	version  string // of the password, not of its hash
	hash     phc
	usable   bool // false: refuse whatever the comparison says
}

// candidate finds the person with that address or, in their absence, a decoy
// that costs the same to compare.
func (s *Service) candidate(ctx context.Context, id policy.PracticeID, pepper pepper, email string) (c candidate, err error) {
	canonical, err := CanonicalEmail(email)
	if err != nil {
		canonical = "" // which nobody has
	}
	var costs []cost
	err = s.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		if c, err = readCandidate(ctx, tx, id, canonical); err != nil {
			return err
		}
		costs, err = readCosts(ctx, tx, id)
		return err
	})
	if err != nil {
		return candidate{}, err
	}
	// Always made, so that finding nobody is not more work either.
	other := decoy(decoyCost(costs, pepper, canonical, s.params))
	if c.hash, err = parsePHC(c.stored); err != nil {
		c.hash, c.usable = other, false
	}
	return c, nil
}

func readCandidate(ctx context.Context, tx *database.Tx, id policy.PracticeID, email string) (candidate, error) {
	var c candidate
	var practice string
	var disabled int64
	err := tx.QueryRow(ctx, `SELECT p.practice, p.id, p.disabled_at, COALESCE(w.phc, ''), COALESCE(w.version, '')
		FROM person p LEFT JOIN password w ON w.person = p.id AND w.practice = p.practice WHERE p.email = $1`,
		email).Scan(&practice, &c.personID, &disabled, &c.stored, &c.version)
	if errors.Is(err, sql.ErrNoRows) {
		return candidate{}, nil
	}
	if err != nil {
		return candidate{}, err
	}
	if practice != string(id) {
		return candidate{}, ErrForeign
	}
	c.usable = disabled == 0
	return c, nil
}

// cost is how many people of a practice have a hash of these parameters.
type cost struct {
	params HashParams
	people int64
}

func readCosts(ctx context.Context, tx *database.Tx, id policy.PracticeID) ([]cost, error) {
	var costs []cost
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var text string
		var c cost
		if err := rows.Scan(&text, &c.people); err != nil {
			return err
		}
		params, err := parseParams(text)
		if c.params = params; err == nil {
			costs = append(costs, c)
		}
		return nil
	}, `SELECT cost, COUNT(*) FROM password WHERE practice = $1 GROUP BY cost ORDER BY cost LIMIT 16`, string(id))
	return costs, err
}

// decoyCost chooses what checking an address that nobody has shall cost. While
// parameters are being renewed some people's hashes cost more than others';
// were the decoy's always the new cost, every old cost would be somebody. So
// each address gets one of the practice's costs, always the same one and as
// often as people have it.
func decoyCost(costs []cost, pepper pepper, email string, current HashParams) HashParams {
	var people uint64
	for _, c := range costs {
		people += uint64(c.people)
	}
	if people == 0 {
		return current
	}
	m := hmac.New(sha256.New, pepper)
	m.Write([]byte("cost of a decoy\x00" + email))
	pick := binary.BigEndian.Uint64(m.Sum(nil)) % people
	for _, c := range costs {
		if pick < uint64(c.people) {
			return c.params
		}
		pick -= uint64(c.people)
	}
	return current
}

// admit reads the person afresh: while the password waited for its turn they
// may have been disabled, or given another password. It also stores a renewed
// hash; when that fails the old one goes on working.
func (s *Service) admit(ctx context.Context, id policy.PracticeID, c candidate, renewed string) (p Person, err error) {
	err = s.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		if p, err = readPerson(ctx, tx, id, "p.id", c.personID); err != nil {
			return err
		}
		var n int64
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM password WHERE practice = $1 AND person = $2 AND version = $3`,
			string(id), c.personID, c.version).Scan(&n)
		if err == nil && (n == 0 || p.Disabled) {
			return ErrRefused
		}
		return err
	})
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrUnknown):
		return Person{ID: c.personID}, ErrRefused
	case err != nil:
		return Person{}, fmt.Errorf("checking password: %w", err)
	}
	if renewed != "" {
		_ = s.renew(ctx, id, c, renewed)
	}
	return p, nil
}

// renew replaces the hash unless the password was changed meanwhile.
func (s *Service) renew(ctx context.Context, id policy.PracticeID, c candidate, renewed string) error {
	return s.db.Practice(id).Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE password SET phc = $1, cost = $2 WHERE practice = $3 AND person = $4 AND version = $5`,
			renewed, s.params.String(), string(id), c.personID, c.version)
		return err
	})
}
