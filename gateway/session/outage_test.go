package session_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

func TestOutageGrace(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(time.Minute)
	cold, l := g.signIn(limits, nurse)
	g.Evict(l)
	g.feed.stop() // registry and practice: all SQL is gone
	g.store.down.Store(true)

	g.wantError(limits, cold, session.ErrUnavailable)
	g.wantError(limits, tokenOf(harbour).Reveal(), session.ErrUnavailable)
	for range 5 {
		g.wantServed(limits, cookie)
		g.clock.Advance(time.Minute)
	}
	g.wantServed(limits, cookie) // five minutes after the feed was last read
	g.clock.Advance(time.Microsecond)
	g.wantError(limits, cookie, session.ErrUnavailable)
	g.clock.Advance(time.Hour)
	g.wantError(limits, cookie, session.ErrUnavailable)

	g.store.down.Store(false)
	g.feed.stale.Store(0)
	g.clock.Advance(-time.Hour)
	g.wantServed(limits, cookie)
	g.wantServed(limits, cold)
}

// A practice without grace rests on what is at most a second old.
func TestNoGraceMeansASecond(t *testing.T) {
	g := newGate(t)
	strict := limits
	strict.OutageGrace = 0
	cookie, _ := g.signIn(strict, nurse)
	g.clock.Advance(time.Minute)
	g.feed.stop()
	g.store.down.Store(true)
	g.clock.Advance(time.Second)
	g.wantServed(strict, cookie)
	g.clock.Advance(time.Microsecond)
	g.wantError(strict, cookie, session.ErrUnavailable)
}

// With the feed gone and the practice's database there, SQL is asked: once for
// each grace, not at every request.
func TestFeedAloneGoneMeansAskingSQL(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.feed.stop()
	g.clock.Advance(limits.OutageGrace + time.Second)
	g.people.change(nurse, func(p *session.Person) { p.Roles = []string{"billing"} })
	reads := g.store.reads.Load()
	for range 10 {
		if roles := g.wantServed(limits, cookie).Subject().Roles; roles[0] != "billing" {
			t.Fatalf("roles %v: the person was not read", roles)
		}
	}
	if n := g.store.reads.Load() - reads; n != 1 {
		t.Errorf("%d readings", n)
	}
	g.exec(harbour, `DELETE FROM session WHERE id = $1`, l.ID().String())
	g.clock.Advance(limits.OutageGrace + time.Second)
	g.wantError(limits, cookie, session.ErrNone)
}

func TestOutageIsNoLogoutWhateverMemorySays(t *testing.T) {
	g := newGate(t)
	idle, l := g.signIn(limits, nurse)
	g.clock.Advance(limits.Idle)
	g.store.down.Store(true)
	g.wantError(limits, idle, session.ErrUnavailable) // perhaps another node saw them
	g.store.down.Store(false)
	g.exec(harbour, `UPDATE session SET last_seen = $1`, g.clock.Now().UnixMicro())
	g.wantServed(limits, idle)

	g.store.down.Store(true)
	g.feed.deliver(changeOf(l)) // it changed, and nobody can say how
	g.wantError(limits, idle, session.ErrUnavailable)
	g.store.down.Store(false)
	g.wantServed(limits, idle)
}

func TestUnreadablePersonIsUnavailable(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.people.set(func(p *people) { p.fail = errDisk })
	g.wantServed(limits, cookie)
	g.feed.deliver(personChange(nurse))
	g.wantError(limits, cookie, session.ErrUnavailable)
	g.Evict(l)
	g.wantError(limits, cookie, session.ErrUnavailable)
	if _, _, err := g.Create(t.Context(), limits, passwordOf(nurse, g.clock.Now())); err == nil {
		t.Error("a session was made for somebody unknown")
	}
	g.people.set(func(p *people) { p.fail = nil })
	g.wantServed(limits, cookie)
}

func TestNothingIsMadeOrEndedWithoutSQL(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	cut := false
	g.Streams().Register(l.StreamKey(limits), func() { cut = true })
	g.store.down.Store(true)
	ctx := t.Context()
	_, _, create := g.Create(ctx, limits, passwordOf(nurse, g.clock.Now()))
	_, _, rotate := g.Raise(ctx, limits, l, policy.AAL2, []string{"otp"})
	_, list := g.List(ctx, limits, nurse)
	_, user := g.EndUser(ctx, harbour, nurse)
	_, practice := g.EndPractice(ctx, harbour)
	_, flow := g.Flows().Begin(ctx, harbour, flowOf(nurse, g.clock.Now()))
	_, peek := g.Flows().Peek(ctx, harbour, flowTokenOf(harbour).Reveal())
	for name, err := range map[string]error{
		"create": create, "raise": rotate, "list": list, "end": g.End(ctx, l), "end user": user,
		"end practice": practice, "flow": flow, "peek": peek,
	} {
		if !isUnavailable(err) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
	}
	g.store.down.Store(false)
	if cut || l.Ended() {
		t.Error("something ended although the ending failed")
	}
	g.wantServed(limits, cookie)
	if n := len(g.feed.published()); n != 0 {
		t.Errorf("%d changes were published", n)
	}
}

// The real thing: the databases are closed, or their file is gone.
func TestClosedDatabaseIsAnOutage(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	cold, l := g.signIn(limits, nurse)
	g.Evict(l)
	if err := g.db.Close(); err != nil {
		t.Fatal(err)
	}
	g.wantServed(limits, cookie)
	g.wantError(limits, cold, session.ErrUnavailable)
}

func TestVanishedFileIsAnOutage(t *testing.T) {
	if databasetest.On() {
		return // it has no file
	}
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	cold, l := g.signIn(limits, nurse)
	g.Evict(l)
	file := filepath.Join(g.dir, "practices", string(harbour)+".db")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	other := g.again() // has not opened the file yet
	other.wantError(limits, cold, session.ErrUnavailable)
	g.wantServed(limits, cookie)
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	other.wantServed(limits, cold)
}
