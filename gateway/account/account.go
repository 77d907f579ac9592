// Package account keeps the people of a practice and checks what they prove
// themselves with: passwords, codes of an authenticator app, known devices.
//
// It answers who somebody is, never what they may do. Counting attempts is
// limit's work and must come before every Check… call. Nothing here logs, and
// no error holds a password, code, token or secret.
package account

import (
	"context"
	"errors"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// Errors that callers branch on. Everything else that goes wrong is not the
// person's doing and matches database.ErrUnavailable or hashing.ErrUnavailable.
var (
	// ErrBusy means that too many passwords wait to be hashed. Nothing was decided:
	// answer 503 with Retry-After, and do not count the attempt.
	ErrBusy = hashing.ErrBusy
	// ErrRefused is the one answer to a wrong proof. It never says which half
	// was wrong, nor whether the account exists.
	ErrRefused = errors.New("not accepted")
	// ErrUnknown means that the practice has nobody with that id or address.
	ErrUnknown = errors.New("no such person at this practice")
	// ErrExists means that the address belongs to somebody already.
	ErrExists = errors.New("this practice already has a person with that e-mail address")
	// ErrLastAdmin refuses a change that would leave nobody who can administer
	// the practice.
	ErrLastAdmin = errors.New("this is the practice's last active practice_admin; give the role to somebody else first")
	// ErrNoEnrolment means that no enrolment is waiting, or that it expired or
	// was replaced: start again.
	ErrNoEnrolment = errors.New("no enrolment of an authenticator app is waiting; start again")
	// ErrNotAnnounced means that the change is stored, but live sessions could
	// not be told. Doing it again is safe and tells them again.
	ErrNotAnnounced = errors.New("saved, but signed-in sessions could not be told; do it again")
	// ErrForeign is an alarm: a row in this practice's database names another
	// practice (THREATS T6).
	ErrForeign = errors.New("a row of another practice is in this practice's database")
)

// RoleAdmin is the role that can administer a practice.
const RoleAdmin = "practice_admin"

// Changed is told after every change to a person that live sessions must
// follow (THREATS C7). It must reach all nodes or return an error.
type Changed func(ctx context.Context, practice policy.PracticeID, personID string) error

// NobodySignedIn is a Changed for set-up and tests, where no session can exist.
func NobodySignedIn(context.Context, policy.PracticeID, string) error { return nil }

// Options are the settings of a Service.
type Options struct {
	DB    *database.Set    // required
	Vault *vault.Vault     // required
	Now   func() time.Time // default time.Now
	// Changed is required: without it every change to a person is refused,
	// because a disabled person would stay signed in.
	Changed Changed
	// PracticeName gives words that no password may rest on, beside the
	// practice's id. Default: none.
	PracticeName func(policy.PracticeID) string

	Hash     HashParams    // default DefaultHash; stored hashes of other cost are renewed at sign-in
	Hashes   *hashing.Pool // where they are computed, by whoever closes it; default: in this process
	Breached *Breached     // passwords not to be chosen; default: none
}

// Service holds the people of all practices, each in its practice's own
// database. It is safe for concurrent use.
type Service struct {
	db       *database.Set
	vault    *vault.Vault
	now      func() time.Time
	changed  Changed
	nameOf   func(policy.PracticeID) string
	params   HashParams
	hashes   *hashing.Pool
	breached *Breached
}

// New returns a Service. It does no I/O.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.PracticeName == nil {
		o.PracticeName = func(policy.PracticeID) string { return "" }
	}
	if !o.Hash.valid() {
		o.Hash = DefaultHash
	}
	if o.Hashes == nil {
		o.Hashes = hashing.NewLocal(0, 0)
	}
	return &Service{
		db: o.DB, vault: o.Vault, now: o.Now, changed: o.Changed, nameOf: o.PracticeName,
		params: o.Hash, hashes: o.Hashes, breached: o.Breached,
	}
}
