package session_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

func TestRoleChangeActsWithoutLoggingOut(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	_, second := g.signIn(limits, nurse)
	_, stranger := g.signIn(limits, doctor)
	cut := g.watched(l)
	before := stranger.View()
	g.people.change(nurse, func(p *session.Person) {
		p.Roles, p.HasSecondFactor, p.HasPhishingResistant = []string{"billing"}, true, true
	})
	g.feed.deliver(personChange(nurse))
	// At once for who asks, before anything ran in the background.
	s := g.wantServed(limits, cookie).Subject()
	if s.Roles[0] != "billing" || !s.HasSecondFactor || !s.HasPhishingResistant || s.Level != policy.AAL1 {
		t.Errorf("subject %+v", s)
	}
	g.catchUp()
	if second.Subject().Roles[0] != "billing" {
		t.Error("the session that nobody asked about was not refreshed")
	}
	if stranger.View() != before {
		t.Error("somebody else was refreshed")
	}
	if cut() {
		t.Error("a stream was cut")
	}
	reads := g.store.reads.Load()
	g.wantServed(limits, cookie)
	if g.store.reads.Load() != reads {
		t.Error("still stale")
	}
}

func TestRoleChangeActsThoughTheClockWasSetBack(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(-time.Minute)
	g.people.change(nurse, func(p *session.Person) { p.Roles = []string{"billing"} })
	g.feed.deliver(personChange(nurse))
	if roles := g.wantServed(limits, cookie).Subject().Roles; roles[0] != "billing" {
		t.Errorf("roles %v", roles)
	}
}

func TestDisabledPersonIsOutWithinASecond(t *testing.T) {
	for name, edit := range map[string]func(*people){
		"disabled": func(p *people) { p.known[nurse] = session.Person{ID: nurse, Disabled: true} },
		"deleted":  func(p *people) { delete(p.known, nurse) },
	} {
		for _, asked := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				g := newGate(t)
				cookie, l := g.signIn(limits, nurse)
				kept, other := g.signIn(limits, doctor)
				cut, cutOther := g.watched(l), g.watched(other)
				token, err := g.Flows().Begin(t.Context(), harbour, flowOf(nurse, g.clock.Now()))
				if err != nil {
					t.Fatal(err)
				}
				g.people.set(edit)
				g.feed.deliver(personChange(nurse))
				if asked {
					g.wantError(limits, cookie, session.ErrNone)
				}
				g.catchUp()
				if !l.Ended() || !cut() {
					t.Error("the session goes on")
				}
				g.wantError(limits, cookie, session.ErrNone)
				g.wantServed(limits, kept)
				if cutOther() {
					t.Error("somebody else's stream was cut")
				}
				if n := g.count(harbour, `SELECT count(*) FROM session WHERE person = $1`, nurse); n != 0 {
					t.Error("it is still in SQL")
				}
				if _, err := g.Flows().Consume(t.Context(), harbour, token.Reveal()); err != session.ErrNone {
					t.Errorf("the sign-in in progress goes on: %v", err)
				}
				if len(g.feed.published()) != 0 {
					t.Error("a change was answered with a change")
				}
			})
		}
	}
}

// On a node that has not served the practice yet, too: their sessions must not come
// back when they are enabled again.
func TestDisabledPersonLosesSessionsThatNobodyHasCached(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	other := g.again()
	g.people.change(nurse, func(p *session.Person) { p.Disabled = true })
	other.feed.deliver(personChange(nurse))
	other.catchUp()
	g.people.change(nurse, func(p *session.Person) { p.Disabled = false })
	other.wantError(limits, cookie, session.ErrNone)
}

// A change of a practice that is gone is not tried for ever.
func TestChangeOfARemovedPracticeIsDropped(t *testing.T) {
	g := newGate(t)
	g.people.set(func(p *people) { p.fail = fmt.Errorf("reading: %w", database.ErrMissing) })
	g.feed.deliver(bus.Change{Practice: "nowhere", Kind: bus.KindPerson, Ref: nurse})
	g.catchUp()
	asked := g.people.asked.Load()
	if asked == 0 {
		t.Fatal("nobody asked")
	}
	g.catchUp()
	if g.people.asked.Load() != asked {
		t.Error("asked again")
	}
}

func TestDisabledPersonIsFoundAtTheNextLoad(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	g.people.change(nurse, func(p *session.Person) { p.Disabled = true }) // and no change was published
	g.wantError(limits, cookie, session.ErrNone)
	g.catchUp()
	if n := g.count(harbour, `SELECT count(*) FROM session`); n != 0 {
		t.Error("it is still in SQL")
	}
}

func TestLogoutElsewhereCutsStreamsHere(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	other := g.again()
	cut := other.watched(other.wantServed(limits, cookie))
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	other.wantServed(limits, cookie) // it has not heard of it
	for _, change := range g.feed.published() {
		other.feed.deliver(change)
	}
	other.wantError(limits, cookie, session.ErrNone) // before any background work
	other.catchUp()
	if !cut() {
		t.Error("its stream goes on")
	}
}

func TestRotationElsewhereCutsNothing(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, doctor)
	other := g.again()
	mine := other.wantServed(limits, cookie)
	cut := other.watched(mine)
	next, _ := g.raise(l)
	for _, change := range g.feed.published() {
		other.feed.deliver(change)
	}
	if !mine.Current() {
		t.Error("it was told without SQL")
	}
	other.catchUp()
	if mine.Current() {
		t.Error("it does not know that its token was replaced")
	}
	if cut() || mine.Ended() {
		t.Error("a rotation was taken for an ending")
	}
	reads := other.store.reads.Load()
	other.wantServed(limits, cookie)
	if other.store.reads.Load() != reads {
		t.Error("the old token is still stale")
	}
	if other.wantServed(limits, next).ID() != mine.ID() {
		t.Error("another session")
	}
	tokens, sessions, owners, _ := other.Cached(harbour)
	if tokens != 2 || sessions != 1 || owners != 1 {
		t.Errorf("%d tokens, %d sessions, %d people", tokens, sessions, owners)
	}
}

// What is known to have changed and cannot be read is not served, and its streams
// do not go on.
func TestChangeThatCannotBeReadFailsClosed(t *testing.T) {
	for name, kind := range map[string]bus.Kind{"session": bus.KindSession, "person": bus.KindPerson, "practice": bus.KindPractice} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			cookie, l := g.signIn(limits, nurse)
			_, other := g.signIn(limits, doctor)
			cut, cutOther := g.watched(l), g.watched(other)
			change := bus.Change{Practice: harbour, Kind: kind}
			switch kind {
			case bus.KindSession:
				change.Ref = l.ID().String()
			case bus.KindPerson:
				change.Ref = nurse
			}
			g.store.down.Store(true)
			g.people.set(func(p *people) { p.fail = errDisk })
			g.feed.deliver(change)
			g.catchUp()
			if !cut() || cutOther() != (kind == bus.KindPractice) {
				t.Errorf("cut: %v, somebody else's: %v", cut(), cutOther())
			}
			g.wantError(limits, cookie, session.ErrUnavailable)
			g.store.down.Store(false)
			g.people.set(func(p *people) { p.fail = nil })
			g.catchUp() // tried again
			g.wantServed(limits, cookie)
		})
	}
}

func TestLostFeedMeansReadingEverythingAgain(t *testing.T) {
	g := newGate(t)
	ended, l := g.signIn(limits, nurse)
	kept, _ := g.signIn(limits, doctor)
	cut := g.watched(l)
	g.exec(harbour, `DELETE FROM session WHERE id = $1`, l.ID().String())
	g.people.change(doctor, func(p *session.Person) { p.Roles = nil })
	g.feed.deliver(bus.Change{Kind: bus.KindAll})
	g.wantError(limits, ended, session.ErrNone)
	if roles := g.wantServed(limits, kept).Subject().Roles; len(roles) != 0 {
		t.Errorf("roles %v", roles)
	}
	g.catchUp()
	if !cut() {
		t.Error("its stream goes on")
	}
}

func TestOtherChangesCostNothing(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	reads := g.store.reads.Load()
	for _, change := range []bus.Change{
		{Practice: harbour, Kind: bus.KindPolicy}, {Kind: bus.KindKeys}, {Practice: harbour, Kind: "future"},
		{Practice: acacia, Kind: bus.KindSession}, {Practice: "nowhere", Kind: bus.KindPerson, Ref: nurse},
		{Practice: harbour, Kind: bus.KindSession, Ref: "not an id"}, {Practice: harbour, Kind: bus.KindPerson, Ref: doctor},
	} {
		g.feed.deliver(change)
	}
	g.wantServed(limits, cookie)
	if g.store.reads.Load() != reads {
		t.Error("the session was read again")
	}
}

// A flood of changes is bounded, and nothing in it is forgotten.
func TestFloodOfChangesForgetsNothing(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	cut := g.watched(l)
	for range session.MaxTasks {
		g.feed.deliver(bus.Change{Practice: harbour, Kind: bus.KindSession, Ref: session.NewID().String()})
	}
	g.exec(harbour, `DELETE FROM session WHERE id = $1`, l.ID().String())
	g.feed.deliver(changeOf(l))
	g.store.down.Store(true) // the flood fails, and is tried again
	g.catchUp()
	g.store.down.Store(false)
	g.catchUp()
	if !cut() || !l.Ended() {
		t.Error("the one that counted was lost")
	}
}

// Nobody published it and nobody asks: the round over open streams finds it.
func TestUnpublishedEndingIsFoundByItsStream(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	_, kept := g.signIn(limits, nurse)
	cut, cutKept := g.watched(l), g.watched(kept)
	g.exec(harbour, `DELETE FROM session WHERE id = $1`, l.ID().String())
	g.store.down.Store(true)
	g.VerifyStreams(t.Context())
	if cut() || cutKept() {
		t.Error("a failing store was taken for an ending")
	}
	g.store.down.Store(false)
	g.VerifyStreams(t.Context())
	if !cut() || cutKept() {
		t.Errorf("cut: %v, the other's: %v", cut(), cutKept())
	}
}

// Two processes on one folder, with the real feed: what one ends is over at the
// other within a second or so, with its streams.
func TestTwoProcessesFollowEachOther(t *testing.T) {
	g := newGate(t)
	nodes := []*node{newNode(t, g), newNode(t, g)}
	a, b := nodes[0], nodes[1]
	create := func(n *node, user string) (string, *session.Live) {
		token, l, err := n.Create(t.Context(), limits, passwordOf(user, g.clock.Now()))
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal(), l
	}
	serves := func(n *node, cookie string) bool {
		_, err := n.Lookup(context.Background(), limits, cookie)
		return err == nil
	}
	one, first := create(a, nurse)
	two, second := create(b, doctor)
	var cutOne, cutTwo atomic.Bool
	for n, cut := range map[*node]*atomic.Bool{a: &cutTwo, b: &cutOne} {
		cookie := map[*node]string{a: two, b: one}[n]
		l, err := n.Lookup(t.Context(), limits, cookie)
		if err != nil {
			t.Fatal(err)
		}
		n.Streams().Register(l.StreamKey(limits), func() { cut.Store(true) })
	}

	// Roles changed at a act at b, which caches the session.
	g.people.change(nurse, func(p *session.Person) { p.Roles = []string{"billing"} })
	if err := a.bus.Publish(t.Context(), personChange(nurse)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "new roles at the other node", func() bool {
		l, err := b.Lookup(context.Background(), limits, one)
		return err == nil && l.Subject().Roles[0] == "billing"
	})
	if err := a.End(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	eventually(t, "logout at the other node", func() bool { return !serves(b, one) && cutOne.Load() })
	if _, err := b.EndUser(t.Context(), harbour, doctor); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of the user at the first node", func() bool { return !serves(a, two) && cutTwo.Load() })
	if !second.Ended() {
		t.Error("not ended where it was made")
	}
	for _, n := range nodes {
		n.stop()
	}
}

// Lookups go on without SQL on a node that runs, as long as the feed is fresh.
func TestClockOfTheRealFeedCounts(t *testing.T) {
	g := newGate(t)
	n := newNode(t, g)
	defer n.stop()
	token, _, err := n.Create(t.Context(), limits, passwordOf(nurse, g.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(limits.OutageGrace * 2)
	eventually(t, "a fresh feed", func() bool { return n.bus.LastOK().Equal(g.clock.Now()) })
	misses := n.Stats().Misses
	if _, err := n.Lookup(t.Context(), limits, token.Reveal()); err != nil || n.Stats().Misses != misses {
		t.Errorf("not served from memory: %v", err)
	}
}
