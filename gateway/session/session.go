// Package session knows who is signed in: which cookie is which person's session,
// with which assurance, until when, and which open streams end with it.
//
// SQL is the truth (DESIGN section 4). A node's memory holds what it has looked
// up, and a change feed tells it what other nodes changed. The one invariant: a
// session is served from memory only if this node knew, within the practice's
// outage grace, that it was not revoked. Where that cannot be known the answer is
// ErrUnavailable, never ErrNone: a store that is down logs nobody out (THREATS C10).
package session

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

var (
	// ErrNone: there is no such session. The cookie is malformed, unknown, ended,
	// expired, another practice's, or its person is disabled. It is an answer.
	ErrNone = errors.New("session: none")

	// ErrUnavailable: it cannot be told now (503 with Retry-After; the cookie is
	// left alone). It is the same value as database.ErrUnavailable.
	ErrUnavailable = database.ErrUnavailable

	// ErrRotated: Raise was called with a token that another Raise has replaced.
	// The session lives; the browser is to try again with its new cookie.
	ErrRotated = errors.New("session: the token was replaced by a newer one")

	// ErrRefused: the person does not exist or is disabled, so no session is made.
	ErrRefused = errors.New("session: this person may not sign in")

	// ErrNoPerson is what a PersonSource answers for somebody who does not exist.
	ErrNoPerson = errors.New("session: no such person")
)

// Practice is what a look-up needs to know of a practice: its limits, as the
// policy in force says now. A practice without ID, Idle or Absolute serves nobody.
type Practice struct {
	ID          policy.PracticeID
	Idle        time.Duration // a session unseen for that long is over
	Absolute    time.Duration // a session that old is over, whatever happened in it
	OutageGrace time.Duration // how long sessions go on without news of revocations
	MaxPerUser  int           // sessions of one person; the oldest are ended; 0: 1000
}

func (p Practice) usable() bool {
	return p.ID != "" && len(p.ID) <= maxPractice && p.Idle > 0 && p.Absolute > 0
}

// Person is the snapshot of a person that their sessions share. It is not changed
// after it was given out.
type Person struct {
	ID       string
	Email    string
	Name     string
	Roles    []string
	Disabled bool

	HasSecondFactor      bool      // an enrolled second factor of an accepted kind
	HasPhishingResistant bool      // an enrolled factor that reaches policy.AAL2PR
	GraceUntil           time.Time // their own date in the grace stage; zero: the policy's
}

// PersonSource reads people. ErrNoPerson says that there is nobody of that id;
// every other error counts as "cannot be told now".
type PersonSource interface {
	Person(ctx context.Context, practice policy.PracticeID, id string) (Person, error)
}

// Freshness tells when this node last knew of every revocation.
type Freshness interface {
	LastOK() time.Time // zero: never
}

// Feed tells other nodes what was ended here, and this node what they ended.
// *bus.Feed is one.
type Feed interface {
	Freshness
	Publish(ctx context.Context, c bus.Change) error
	Subscribe(handle func(bus.Change))
}

// Record describes a session to people, logs and the backend. It holds nothing
// that opens anything.
type Record struct {
	Practice policy.PracticeID
	ID       ID
	User     string
	Created  time.Time
	LastSeen time.Time
	Level    policy.Level
	ProvedAt [4]time.Time // index policy.Level: when that level was last proved
	Held     policy.Level // the highest level whose factor the identity provider holds and proved
	AMR      []string     // RFC 8176 values, in the order in which they were proved
	Agent    string       // a label for people; the client chose it
	Addr     netip.Addr   // the client address of the sign-in
}

// SignIn is what Create makes a session from. At least one level is proved.
type SignIn struct {
	ID       ID // public name of the session, for whoever records it first; zero: a new one
	User     string
	ProvedAt [4]time.Time // index policy.Level; a level that is zero was not proved
	Held     policy.Level // the level whose factor the identity provider holds and proved; or LevelNone
	AMR      []string     // RFC 8176 values
	Agent    string       // the User-Agent header; a short label is kept
	Addr     netip.Addr
}
