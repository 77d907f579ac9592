package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// enrolmentLife is how long a shown secret waits for its first code.
const enrolmentLife = 15 * time.Minute

// maxIssuer keeps the QR code coarse enough for an old phone.
const maxIssuer = 60 // characters

// Enrolment is what an authenticator app needs, for its owner's eyes only.
type Enrolment struct {
	Secret vault.Secret // base32 without padding, to type by hand
	URI    vault.Secret // otpauth://totp/…, for the QR code
}

// BeginTOTP makes a new secret for a person and keeps it beside the active one
// until a code proves that an app has it. issuer is the practice's name, which
// the app shows. That the person has just proved themselves is for the caller
// to see to (THREATS F4).
//
// ceremony names the browser's sign-in or session. Asked again by the same
// ceremony it returns the same secret, so that a reloaded page matches the code
// that was scanned. Anybody else gets a new one, which replaces the old: else
// somebody who has only the password could begin an enrolment, wait until its
// owner completes it, and share the secret. "" always makes a new one.
func (s *Service) BeginTOTP(ctx context.Context, id policy.PracticeID, personID, issuer, ceremony string) (Enrolment, error) {
	keys, err := s.vault.Practice(ctx, id)
	if err != nil {
		return Enrolment{}, fmt.Errorf("reading the practice's key: %w", err)
	}
	var p Person
	var secret []byte
	err = s.db.Practice(id).Write(ctx, func(tx *database.Tx) error {
		if p, err = readPerson(ctx, tx, id, "p.id", personID); err != nil {
			return err
		}
		if p.Disabled {
			return ErrRefused
		}
		secret, err = s.pendingSecret(ctx, tx, id, keys, personID, ceremony)
		return err
	})
	if err != nil {
		return Enrolment{}, fmt.Errorf("beginning an enrolment: %w", err)
	}
	return newEnrolment(issuer, p.Email, secret), nil
}

// pendingSecret is the secret that waits for ceremony, made now if need be.
func (s *Service) pendingSecret(ctx context.Context, tx *database.Tx, id policy.PracticeID, keys *vault.Keys, personID, ceremony string) ([]byte, error) {
	t, err := s.readPending(ctx, tx, id, personID)
	if err == nil && ceremony != "" && t.ceremony == ceremonyHash(ceremony) {
		return openTOTP(keys, "totp_pending", personID, t)
	}
	if err != nil && !errors.Is(err, ErrNoEnrolment) {
		return nil, err
	}
	secret, enrolment := newTOTPSecret(), rand.Text()
	sealed, err := keys.Seal(totpField("totp_pending", personID, enrolment), secret)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO totp_pending (practice, person, enrolment, ceremony, secret, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (person) DO UPDATE SET practice = excluded.practice, enrolment = excluded.enrolment,
		ceremony = excluded.ceremony, secret = excluded.secret, expires_at = excluded.expires_at`,
		string(id), personID, enrolment, ceremonyHash(ceremony), sealed, micros(s.now().Add(enrolmentLife)))
	return secret, err
}

// ceremonyHash is stored in the place of a name that may be a cookie's value.
func ceremonyHash(ceremony string) string {
	sum := sha256.Sum256([]byte(ceremony))
	return hex.EncodeToString(sum[:])
}

func newEnrolment(issuer, email string, secret []byte) Enrolment {
	name := []rune(issuer)
	return Enrolment{
		Secret: vault.NewSecret(totpBase32.EncodeToString(secret)),
		URI:    vault.NewSecret(otpauthURI(string(name[:min(len(name), maxIssuer)]), email, secret)),
	}
}

// ConfirmTOTP makes a waiting enrolment the active one when code is right, and
// replaces the one that was active. The code is used up by it. ErrRefused
// leaves the enrolment waiting; ErrNoEnrolment means that none is.
func (s *Service) ConfirmTOTP(ctx context.Context, id policy.PracticeID, personID, code string) error {
	digits, ok := parseCode(code)
	if !ok {
		return ErrRefused
	}
	keys, err := s.vault.Practice(ctx, id)
	if err != nil {
		return fmt.Errorf("reading the practice's key: %w", err)
	}
	return s.change(ctx, id, personID, func(tx *database.Tx, p Person) error {
		if p.Disabled {
			return ErrRefused
		}
		t, err := s.readPending(ctx, tx, id, personID)
		if err != nil {
			return err
		}
		secret, err := openTOTP(keys, "totp_pending", personID, t)
		if err != nil {
			return err
		}
		step, ok := matchStep(secret, digits, s.now())
		if !ok {
			return ErrRefused
		}
		return s.activate(ctx, tx, id, keys, personID, t.enrolment, secret, step)
	})
}

// activate moves a pending enrolment to the active place. Deleting it is the
// compare-and-set: of two confirmations only one finds it.
func (s *Service) activate(ctx context.Context, tx *database.Tx, id policy.PracticeID, keys *vault.Keys, personID, enrolment string, secret []byte, step int64) error {
	n, err := tx.Exec(ctx, `DELETE FROM totp_pending WHERE practice = $1 AND person = $2 AND enrolment = $3`,
		string(id), personID, enrolment)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrNoEnrolment
	}
	sealed, err := keys.Seal(totpField("totp", personID, enrolment), secret)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO totp (practice, person, enrolment, secret, last_step, confirmed_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (person) DO UPDATE SET practice = excluded.practice, enrolment = excluded.enrolment,
		secret = excluded.secret, last_step = excluded.last_step, confirmed_at = excluded.confirmed_at`,
		string(id), personID, enrolment, sealed, step, micros(s.now()))
	return err
}

// CheckTOTP accepts a code of the person's active app, once: the step it
// belongs to must be later than the last accepted one, which one UPDATE
// decides, so that of any number of tries at the same time on any number of
// nodes exactly one succeeds (THREATS F1). Everything else is ErrRefused.
func (s *Service) CheckTOTP(ctx context.Context, id policy.PracticeID, personID, code string) error {
	digits, ok := parseCode(code)
	if !ok {
		return ErrRefused
	}
	keys, err := s.vault.Practice(ctx, id)
	if err != nil {
		return fmt.Errorf("reading the practice's key: %w", err)
	}
	var t sealedTOTP
	err = s.db.Practice(id).Read(ctx, func(tx *database.Tx) (err error) {
		t, err = readTOTP(ctx, tx, id, personID)
		return err
	})
	if err != nil {
		return fmt.Errorf("checking code: %w", err)
	}
	secret, err := openTOTP(keys, "totp", personID, t)
	if err != nil {
		return err
	}
	step, ok := matchStep(secret, digits, s.now())
	if !ok {
		return ErrRefused
	}
	return s.useStep(ctx, id, personID, t.enrolment, step)
}

// useStep is the compare-and-set.
func (s *Service) useStep(ctx context.Context, id policy.PracticeID, personID, enrolment string, step int64) error {
	var used int64
	err := s.db.Practice(id).Write(ctx, func(tx *database.Tx) (err error) {
		used, err = tx.Exec(ctx, `UPDATE totp SET last_step = $1 WHERE practice = $2 AND person = $3 AND enrolment = $4 AND last_step < $1
			AND EXISTS (SELECT 1 FROM person p WHERE p.practice = $2 AND p.id = $3 AND p.disabled_at = 0)`,
			step, string(id), personID, enrolment)
		return err
	})
	if err != nil {
		return fmt.Errorf("checking code: %w", err)
	}
	if used != 1 {
		return ErrRefused
	}
	return nil
}

// sealedTOTP is a stored secret.
type sealedTOTP struct {
	enrolment string
	ceremony  string // of a pending one, hashed
	secret    []byte
}

func readTOTP(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID string) (t sealedTOTP, err error) {
	err = tx.QueryRow(ctx, `SELECT enrolment, secret FROM totp WHERE practice = $1 AND person = $2`,
		string(id), personID).Scan(&t.enrolment, &t.secret)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrRefused
	}
	return t, err
}

func (s *Service) readPending(ctx context.Context, tx *database.Tx, id policy.PracticeID, personID string) (t sealedTOTP, err error) {
	err = tx.QueryRow(ctx, `SELECT enrolment, ceremony, secret FROM totp_pending WHERE practice = $1 AND person = $2 AND expires_at > $3`,
		string(id), personID, micros(s.now())).Scan(&t.enrolment, &t.ceremony, &t.secret)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoEnrolment
	}
	return t, err
}

func openTOTP(keys *vault.Keys, table, personID string, t sealedTOTP) ([]byte, error) {
	secret, err := keys.Open(totpField(table, personID, t.enrolment), t.secret)
	if err != nil {
		return nil, fmt.Errorf("opening the secret of an authenticator app: %w", err)
	}
	return []byte(secret.Reveal()), nil
}

// totpField is what a secret is sealed to: moved to another person, another
// enrolment or from pending to active, it does not open.
func totpField(table, personID, enrolment string) vault.Field {
	return vault.Field{Table: table, Row: personID + "/" + enrolment, Column: "secret"}
}
