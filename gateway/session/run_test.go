package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/session"
	"go.uber.org/goleak"
)

func TestRunStopsAndLeavesNothingBehind(t *testing.T) {
	g := newGate(t)
	before := goleak.IgnoreCurrent()
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	g.feed.deliver(personChange(nurse))
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := g.count(harbour, `SELECT last_seen FROM session`); n != g.clock.Now().UnixMicro() {
		t.Error("last seen was not written at the end")
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

// Run does by itself what other tests do step by step.
func TestRunFollowsChanges(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	cut := g.watched(l)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	g.exec(harbour, `DELETE FROM session`)
	g.feed.deliver(changeOf(l))
	eventually(t, "stream cut", cut)

	_, l = g.signIn(limits, nurse)
	cut = g.watched(l)
	g.clock.Advance(limits.Absolute)
	eventually(t, "overdue stream cut", cut)

	_, l = g.signIn(limits, nurse)
	cut = g.watched(l)
	g.store.down.Store(true)
	g.feed.deliver(personChange(nurse)) // fails, is tried again
	g.people.change(nurse, func(p *session.Person) { p.Disabled = true })
	g.store.down.Store(false)
	eventually(t, "somebody disabled during an outage", func() bool { return cut() && l.Ended() })

	g.feed.fails.Store(true)
	_, other := g.signIn(limits, doctor)
	if err := g.End(ctx, other); err != nil {
		t.Fatal(err)
	}
	g.feed.fails.Store(false)
	eventually(t, "change published after all", func() bool { return len(g.feed.published()) == 1 })
	cancel()
	<-done
}

func TestCloseCutsStreamsAndWrites(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	cut := g.watched(l)
	g.clock.Advance(time.Minute)
	l.Touch(g.clock.Now())
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if !cut() || g.count(harbour, `SELECT last_seen FROM session`) != g.clock.Now().UnixMicro() {
		t.Error("not cut, or not written")
	}
	g.again().wantServed(limits, cookie) // closing a process logs nobody out
}

func TestNewRefusesHalfOfItsOptions(t *testing.T) {
	g := newGate(t)
	for name, o := range map[string]session.Options{
		"nothing": {}, "no feed": {DB: g.db, People: g.people}, "no people": {DB: g.db, Feed: g.feed}, "no databases": {Feed: g.feed, People: g.people},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: made", name)
				}
			}()
			session.New(o)
		}()
	}
}

// A source that panics must not leave others waiting for it for ever.
func TestPanicInALoadReleasesWhoWaits(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	g.people.set(func(p *people) { p.pause = func() { panic("bug") } })
	func() {
		defer func() { _ = recover() }()
		_, _ = g.lookup(limits, cookie)
	}()
	g.people.set(func(p *people) { p.pause = nil })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := g.Lookup(ctx, limits, cookie); err != nil {
		t.Errorf("Lookup: %v", err)
	}
}

var _ session.Feed = (*bus.Feed)(nil)

// The sentinel that others compare with is the database's own.
func TestUnavailableIsTheDatabasesOwn(t *testing.T) {
	if !errors.Is(session.ErrUnavailable, database.ErrUnavailable) || errors.Is(session.ErrNone, session.ErrUnavailable) {
		t.Error("sentinels")
	}
}
