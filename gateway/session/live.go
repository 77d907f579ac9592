package session

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"clinicgate/policy"
)

// Live is a session in memory, as one of its tokens opens it. All its methods are
// safe for concurrent use and none does I/O. A Live that a request holds stays
// readable after the session has ended; Ended tells.
type Live struct {
	key     digest
	state   *state
	sibling *Live // another token of the same session; under cell.mu
	view    atomic.Pointer[View]
	amr     unique.Handle[string] // comma separated
	diesAt  atomic.Int64          // 0: the session's current token
	flags   atomic.Uint32
	held    policy.Level
}

// What flags says of a Live.
const (
	staleSession uint32 = 1 << iota // the feed said that the session changed: ask SQL
	stalePerson                     // the feed said that the person changed: ask SQL
	detached                        // no longer in the cache: no change finds it there
	unattended                      // its last page asks again by itself
)

// state is what all tokens of one session share.
type state struct {
	id       ID
	cell     *cell
	owner    *owner
	created  int64 // unix microseconds, like all times here
	addr     netip.Addr
	agent    unique.Handle[string]
	lives    *Live // chain over sibling; under cell.mu
	slot     int   // its place in owner.sessions; under cell.mu
	lastSeen atomic.Int64
	checked  atomic.Int64 // when SQL was last asked and confirmed the session
	dirty    atomic.Bool  // in cell.touched, to be written
	ended    atomic.Bool
}

// View is one consistent picture of a session: subject, person and whatever was
// prepared from them. When the person changes, Live gets a new View; what was
// prepared from the old one stays with the old one and is never seen again.
type View struct {
	subject policy.Subject
	person  *Person
	slot    atomic.Pointer[any]
}

// Subject is what policy.Decide asks for. It must not be changed.
func (v *View) Subject() *policy.Subject { return &v.subject }

// Person is the person behind the session. Roles must not be changed.
func (v *View) Person() Person { return *v.person }

// Prepared returns what Prepare put into this view, or nil: header values and a
// signed assertion, say, made once instead of on every request.
func Prepared[T any](v *View) *T {
	if box := v.slot.Load(); box != nil {
		value, _ := (*box).(*T)
		return value
	}
	return nil
}

// Prepare keeps value, made from this view and no other, until the view is
// replaced. A later Prepare wins; value must not be changed any more.
func Prepare[T any](v *View, value *T) {
	box := any(value)
	v.slot.Store(&box)
}

// View returns the picture of this moment. Who needs more than one of Subject,
// Person and Prepared takes them from one View.
func (l *Live) View() *View { return l.view.Load() }

// Subject is View().Subject().
func (l *Live) Subject() *policy.Subject { return l.view.Load().Subject() }

// Person is View().Person().
func (l *Live) Person() Person { return l.view.Load().Person() }

// Practice is the practice that the session belongs to.
func (l *Live) Practice() policy.PracticeID { return l.state.cell.id }

// ID is the public id.
func (l *Live) ID() ID { return l.state.id }

// Ended reports whether this node knows that the session has ended. A Live that had
// to make room in the cache does not learn of it; a stream that was opened with it
// does.
func (l *Live) Ended() bool { return l.state.ended.Load() }

// Lasts reports whether the session is within the limits of a practice, as far as this
// node knows.
func (l *Live) Lasts(p Practice, now time.Time) bool {
	s, at := l.state, now.UnixMicro()
	return !s.ended.Load() && at-s.created < p.Absolute.Microseconds() && at-s.lastSeen.Load() < p.Idle.Microseconds()
}

// Current reports whether this is the session's newest token, as far as this node
// knows. Only the newest can be raised.
func (l *Live) Current() bool { return l.diesAt.Load() == 0 }

// Record describes the session. It allocates.
func (l *Live) Record() Record {
	s, subject := l.state, l.Subject()
	return Record{
		Practice: s.cell.id,
		ID:       s.id,
		User:     s.owner.id,
		Created:  fromMicro(s.created),
		LastSeen: fromMicro(s.lastSeen.Load()),
		Level:    subject.Level,
		ProvedAt: subject.ProvedAt,
		Held:     l.held,
		AMR:      splitAMR(l.amr.Value()),
		Agent:    s.agent.Value(),
		Addr:     s.addr,
	}
}

// seenStep is how exact "last seen" is: touching more often is free.
const seenStep = int64(time.Second / time.Microsecond)

// Touch notes that the person did something now, which is what the idle limit
// counts from. It is kept in memory and written by Run.
func (l *Live) Touch(now time.Time) {
	s, at := l.state, now.UnixMicro()
	before := s.lastSeen.Load()
	if at-before < seenStep || s.ended.Load() || !s.lastSeen.CompareAndSwap(before, at) {
		return
	}
	if s.dirty.CompareAndSwap(false, true) {
		s.cell.addTouched(s, at-before)
	}
}

// Unattended notes that the person was given a page which asks again by itself. What
// is asked from now on need not be theirs.
func (l *Live) Unattended() { l.set(unattended) }

// Attend is Touch for a request, unless that may be one that a page makes by itself.
func (l *Live) Attend(now time.Time) {
	if !l.check(unattended) {
		l.Touch(now)
	}
}

// Answered notes that a request was answered with what was asked for.
func (l *Live) Answered(now time.Time) {
	if l.check(unattended) {
		l.clear(unattended)
		l.Touch(now)
	}
}

// newView makes the picture of a token's assurance and a person.
func newView(p *Person, proved [4]time.Time, held policy.Level) *View {
	v := &View{person: p}
	v.subject = policy.Subject{
		UserID:               p.ID,
		Roles:                p.Roles,
		Level:                levelOf(proved),
		ProvedAt:             proved,
		HasSecondFactor:      p.HasSecondFactor || held >= policy.AAL2,
		HasPhishingResistant: p.HasPhishingResistant || held >= policy.AAL2PR,
		GraceUntil:           p.GraceUntil,
	}
	return v
}

// setPerson replaces the picture after the person changed. Under cell.mu.
func (l *Live) setPerson(p *Person) {
	if old := l.view.Load(); old.person != p {
		l.view.Store(newView(p, old.subject.ProvedAt, l.held))
	}
}

// set and clear change flags; check reads them.
func (l *Live) set(f uint32)                    { l.flags.Or(f) }
func (l *Live) clear(f uint32)                  { l.flags.And(^f) }
func (l *Live) check(f uint32) bool             { return l.flags.Load()&f != 0 }
func (s *state) seenAtLeast(at int64)           { raise(&s.lastSeen, at) }
func (s *state) checkedAt(at int64)             { raise(&s.checked, at) }
func fromMicro(at int64) time.Time              { return time.UnixMicro(at).UTC() }
func splitAMR(joined string) []string           { return strings.FieldsFunc(joined, isComma) }
func isComma(r rune) bool                       { return r == ',' }
func internText(s string) unique.Handle[string] { return unique.Make(strings.Clone(s)) }

// raise sets v to at unless it is later already.
func raise(v *atomic.Int64, at int64) {
	for {
		old := v.Load()
		if old >= at || v.CompareAndSwap(old, at) {
			return
		}
	}
}

// levelOf is the highest level proved.
func levelOf(proved [4]time.Time) policy.Level {
	for l := policy.AAL2PR; l > policy.LevelNone; l-- {
		if !proved[l].IsZero() {
			return l
		}
	}
	return policy.LevelNone
}
