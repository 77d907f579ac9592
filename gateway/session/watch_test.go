package session_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/session"
)

// A reading that began before a session ended must not bring it back into the
// cache afterwards. Each case stops a reading between SQL and cache, lets something
// happen, and goes on.
func TestEndBeatsLoad(t *testing.T) {
	type setting struct {
		*gate
		other *gate
		live  *session.Live
	}
	disable := func(p *people) { p.known[nurse] = session.Person{ID: nurse, Disabled: true} }
	for name, happens := range map[string]func(s setting) error{
		"logout": func(s setting) error { return s.End(s.t.Context(), s.live) },
		"end of the user": func(s setting) error {
			_, err := s.EndUser(s.t.Context(), harbour, nurse)
			return err
		},
		"end of the practice": func(s setting) error {
			_, err := s.EndPractice(s.t.Context(), harbour)
			return err
		},
		"logout elsewhere": func(s setting) error {
			err := s.other.End(s.t.Context(), s.live)
			s.feed.deliver(changeOf(s.live))
			return err
		},
		"end of the user elsewhere": func(s setting) error {
			_, err := s.other.EndUser(s.t.Context(), harbour, nurse)
			s.feed.deliver(personChange(nurse))
			return err
		},
		"end of the practice elsewhere": func(s setting) error {
			_, err := s.other.EndPractice(s.t.Context(), harbour)
			s.feed.deliver(bus.Change{Practice: harbour, Kind: bus.KindSession})
			return err
		},
		"disabled": func(s setting) error {
			s.people.set(disable)
			s.feed.deliver(personChange(nurse))
			return nil
		},
		"found revoked by a flush": func(s setting) error {
			s.exec(harbour, `DELETE FROM session`)
			s.live.Touch(s.clock.Now().Add(time.Minute))
			return s.Flush(s.t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			cookie, live := g.signIn(limits, nurse)
			other := g.again()
			g.Evict(live)
			entered, release := g.people.stopOnce()
			var err error
			var l *session.Live
			var reader sync.WaitGroup
			reader.Go(func() { l, err = g.Lookup(context.Background(), limits, cookie) })
			<-entered // the row was read, and the person
			if err := happens(setting{g, other, live}); err != nil {
				t.Fatal(err)
			}
			close(release)
			reader.Wait()
			if err != session.ErrNone || l != nil {
				t.Errorf("the reading: %v, %v; want ErrNone", l, err)
			}
			g.wantError(limits, cookie, session.ErrNone)
			if n := g.Stats().Cached; n != 0 {
				t.Errorf("%d tokens in the cache", n)
			}
		})
	}
}

// stopOnce holds the next reading of a person, after it was read, until release.
func (p *people) stopOnce() (entered, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	p.set(func(p *people) {
		p.pause = func() {
			if held.CompareAndSwap(false, true) {
				close(entered)
				<-release
			}
		}
	})
	return entered, release
}

// The same for a person: roles that were read before a change are not entered
// after it.
func TestNewRolesBeatOldReading(t *testing.T) {
	g := newGate(t)
	cookie, live := g.signIn(limits, nurse)
	g.Evict(live)
	entered, release := g.people.stopOnce()
	var l *session.Live
	var err error
	var reader sync.WaitGroup
	reader.Go(func() { l, err = g.Lookup(context.Background(), limits, cookie) })
	<-entered
	g.people.change(nurse, func(p *session.Person) { p.Roles = []string{"billing"} })
	g.feed.deliver(personChange(nurse))
	close(release)
	reader.Wait()
	if err != nil || l.Subject().Roles[0] != "billing" {
		t.Errorf("%v, %+v", err, l)
	}
}

// And for a sign-in: somebody who is disabled between the reading of the person
// and the end of Create does not get in.
func TestDisabledWhileSigningIn(t *testing.T) {
	g := newGate(t)
	entered, release := g.people.stopOnce()
	var err error
	var l *session.Live
	var token session.Token
	var reader sync.WaitGroup
	reader.Go(func() {
		token, l, err = g.Create(context.Background(), limits, passwordOf(nurse, g.clock.Now()))
	})
	<-entered
	g.people.change(nurse, func(p *session.Person) { p.Disabled = true })
	g.feed.deliver(personChange(nurse))
	g.catchUp() // finds no session yet
	close(release)
	reader.Wait()
	if err != session.ErrNone || l != nil || token.Reveal() != "" {
		t.Errorf("Create: %v, %v", l, err)
	}
	g.catchUp()
	if n := g.count(harbour, `SELECT count(*) FROM session`); n != 0 {
		t.Errorf("%d sessions in SQL", n)
	}
}

// The same when the new session cannot be read again: the cookie is given out, and
// opens nothing until SQL has been asked.
func TestDisabledWhileSigningInDuringAnOutage(t *testing.T) {
	g := newGate(t)
	entered, release := g.people.stopOnce()
	var err error
	var token session.Token
	var reader sync.WaitGroup
	reader.Go(func() {
		token, _, err = g.Create(context.Background(), limits, passwordOf(nurse, g.clock.Now()))
	})
	<-entered
	g.people.change(nurse, func(p *session.Person) { p.Disabled = true })
	g.feed.deliver(personChange(nurse))
	g.catchUp()
	hook := func(write bool) {
		if !write {
			g.store.down.Store(true)
		}
	}
	g.store.before.Store(&hook)
	close(release)
	reader.Wait()
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	g.wantError(limits, token.Reveal(), session.ErrUnavailable)
	g.store.before.Store(nil)
	g.store.down.Store(false)
	g.wantError(limits, token.Reveal(), session.ErrNone)
}

// A rotation whose result cannot be read again is not lost: the new cookie is
// given out, and the next request asks SQL.
func TestRotationSurvivesAChangeItCannotRead(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	g.feed.deliver(personChange(nurse)) // so that Raise reads the person
	entered, release := g.people.stopOnce()
	var next session.Token
	var err error
	var raiser sync.WaitGroup
	raiser.Go(func() { next, _, err = g.Raise(context.Background(), limits, l, 2, []string{"otp"}) })
	<-entered
	g.feed.deliver(personChange(nurse))
	hook := func(write bool) {
		if !write {
			g.store.down.Store(true)
		}
	}
	g.store.before.Store(&hook)
	close(release)
	raiser.Wait()
	if err != nil {
		t.Fatalf("Raise: %v", err)
	}
	g.wantError(limits, next.Reveal(), session.ErrUnavailable)
	g.store.before.Store(nil)
	g.store.down.Store(false)
	if g.wantServed(limits, next.Reveal()).Subject().Level != 2 {
		t.Error("not raised")
	}
}

// Changes that never stop make a look-up fail closed, not go on for ever.
func TestRestlessSessionIsUnavailable(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	g.people.set(func(p *people) { p.pause = func() { g.feed.deliver(personChange(nurse)) } })
	g.wantError(limits, cookie, session.ErrUnavailable)
	g.people.set(func(p *people) { p.pause = nil })
	g.wantServed(limits, cookie)
}

// More changes during one reading than are kept count as all.
func TestManyChangesDuringOneReading(t *testing.T) {
	g := newGate(t)
	cookie, live := g.signIn(limits, nurse)
	g.Evict(live)
	entered, release := g.people.stopOnce()
	var err error
	var reader sync.WaitGroup
	reader.Go(func() { _, err = g.Lookup(context.Background(), limits, cookie) })
	<-entered
	for range 200 {
		g.feed.deliver(bus.Change{Practice: harbour, Kind: bus.KindSession, Ref: session.NewID().String()})
	}
	if err := g.End(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	close(release)
	reader.Wait()
	if err != session.ErrNone {
		t.Errorf("Lookup: %v", err)
	}
}

// A token that is loaded again between the two halves of its eviction stays where
// endings find it.
func TestLoadInTheMiddleOfAnEviction(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	rest := l.Displace()
	if again := g.wantServed(limits, cookie); again != l {
		t.Fatal("it was loaded beside itself")
	}
	rest()
	g.consistent(harbour)
	misses := g.Stats().Misses
	g.wantServed(limits, cookie)
	if g.Stats().Misses != misses {
		t.Error("it was evicted after all")
	}
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	g.wantError(limits, cookie, session.ErrNone)
}

// Two readings of a person at once, no change told yet: the older one does not
// replace the newer.
func TestOlderReadingOfAPersonDoesNotReplaceANewer(t *testing.T) {
	g := newGate(t)
	cookie, one := g.signIn(limits, nurse)
	second, two := g.signIn(limits, nurse)
	g.Evict(one)
	g.Evict(two)
	entered, release := g.people.stopOnce()
	var l *session.Live
	var reader sync.WaitGroup
	reader.Go(func() { l, _ = g.Lookup(context.Background(), limits, cookie) })
	<-entered
	g.clock.Advance(-time.Second) // the clock was set back meanwhile
	g.people.change(nurse, func(p *session.Person) { p.Roles = []string{"billing"} })
	newer := g.wantServed(limits, second)
	close(release)
	reader.Wait()
	for _, l := range []*session.Live{l, newer} {
		if l.Subject().Roles[0] != "billing" {
			t.Errorf("roles %v", l.Subject().Roles)
		}
	}
}

// A token that is evicted and loaded again at the same time stays reachable for
// endings.
func TestEvictionAndLoadAtOnce(t *testing.T) {
	g := newGate(t, maxCached(256))
	var cookies []string
	var lives []*session.Live
	for range 40 {
		cookie, l := g.signIn(limits, nurse)
		cookies, lives = append(cookies, cookie), append(lives, l)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 300 {
				k := (n*7 + i) % len(cookies)
				l, err := g.Lookup(context.Background(), limits, cookies[k])
				if err != nil {
					t.Errorf("Lookup: %v", err)
					return
				}
				if n%3 == 0 {
					g.Evict(l)
				}
			}
		})
	}
	all.Wait()
	g.consistent(harbour)
	for i, cookie := range cookies {
		if err := g.End(t.Context(), lives[i]); err != nil {
			t.Fatal(err)
		}
		g.wantError(limits, cookie, session.ErrNone)
	}
	if tokens, sessions, owners, indexed := g.Cached(harbour); tokens+sessions+owners+indexed != 0 || g.Stats().Cached != 0 {
		t.Errorf("left: %d %d %d %d, %d in the cache", tokens, sessions, owners, indexed, g.Stats().Cached)
	}
}
