package policy

import (
	"net/netip"
	"time"
)

// Subject is who is signed in, how and when. The zero value is nobody.
type Subject struct {
	UserID string
	Roles  []string

	// Level is the highest level proved in this session.
	Level Level
	// ProvedAt[l] is when level l was last proved: AAL1 the password, AAL2 the second factor. Zero is never.
	ProvedAt [4]time.Time

	// HasSecondFactor says that the person has an enrolled second factor of an accepted kind, or that the practice's
	// identity provider holds it for them and proved it in this session. Without it no second-factor rule is met,
	// whatever Level says: a factor that was reset counts from that moment.
	HasSecondFactor bool
	// HasPhishingResistant says the same of a factor that reaches AAL2PR, for the rules that ask for one. It is a second
	// factor, too.
	HasPhishingResistant bool

	// GraceUntil is this person's own end of grace; zero means the policy's grace_until.
	GraceUntil time.Time
}

// Request is what a decision depends on besides the person. The query takes no part. The zero value is denied.
type Request struct {
	Method string
	Path   string     // as [CanonicalPath] returned it
	Client netip.Addr // the gateway's one value for the client's address
	Now    time.Time
}

// Verdict is what to do with a request. The zero value denies.
type Verdict int8

const (
	Deny   Verdict = iota // no, and nothing the person can do now changes that
	Allow                 // pass it on
	SignIn                // ask who they are
	StepUp                // ask for the level of Need again, or for the first time in this session
	Enrol                 // have them set up the factor that Need asks for
)

// String is the verdict's name in explanations and logs.
func (v Verdict) String() string {
	switch v {
	case Allow:
		return "allow"
	case SignIn:
		return "sign_in"
	case StepUp:
		return "step_up"
	case Enrol:
		return "enrol"
	}
	return "deny"
}

// MarshalText writes String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Decision is the answer for one request. Its fields are hidden so that only this package can make one that allows; the
// zero value denies. Decisions compare with ==.
type Decision struct {
	verdict    Verdict
	need       Level
	public     bool
	reason     Reason
	wouldStop  Reason
	rule       string
	maxAge     time.Duration
	graceUntil time.Time
}

// Allowed says whether the request may go to the backend.
func (d Decision) Allowed() bool { return d.verdict == Allow }

// Verdict says what to do.
func (d Decision) Verdict() Verdict { return d.verdict }

// Reason says why.
func (d Decision) Reason() Reason {
	if d.reason == "" {
		return ReasonUndecided
	}
	return d.reason
}

// Need is the level to prove next for StepUp and Enrol, the level to reach for SignIn, the level that was met for Allow;
// LevelNone for a public path and for a refusal, which no level would change.
func (d Decision) Need() Level { return d.need }

// MaxAge is how old the proof of Need may be; 0 is any age (RFC 9470, max_age).
func (d Decision) MaxAge() time.Duration { return d.maxAge }

// Public says that the path was allowed without asking who the person is; the backend gets no identity then.
func (d Decision) Public() bool { return d.public }

// WouldStop is the reason for which a rule in stage report would have stopped an allowed request; empty for none.
func (d Decision) WouldStop() Reason { return d.wouldStop }

// GraceUntil is when an allowed request of this kind will first be stopped, because a grace period ends; zero for none.
func (d Decision) GraceUntil() time.Time { return d.graceUntil }

// Rule names the part of the policy that decided, as the document writes it: "access[1] /billing/*".
func (d Decision) Rule() string { return d.rule }
