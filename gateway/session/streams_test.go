package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/session"
)

func TestStreamsAreCutByWhatTheyBelongTo(t *testing.T) {
	for name, test := range map[string]struct {
		cut  func(s *session.Streams, id session.ID) int
		want map[string]bool
	}{
		"session": {func(s *session.Streams, id session.ID) int { return s.CutSession(harbour, id) },
			map[string]bool{"own": true}},
		"user": {func(s *session.Streams, _ session.ID) int { return s.CutUser(harbour, nurse) },
			map[string]bool{"own": true, "own2": true}},
		"practice": {func(s *session.Streams, _ session.ID) int { return s.CutPractice(harbour) },
			map[string]bool{"own": true, "own2": true, "other": true, "public": true}},
		"nobody's session": {func(s *session.Streams, _ session.ID) int { return s.CutSession(harbour, session.ID{}) }, nil},
		"nobody":           {func(s *session.Streams, _ session.ID) int { return s.CutUser(harbour, "") }, nil},
		"unknown practice": {func(s *session.Streams, id session.ID) int { return s.CutSession("nowhere", id) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			cuts := map[string]func() bool{}
			_, own := g.signIn(limits, nurse)
			_, own2 := g.signIn(limits, nurse)
			_, other := g.signIn(limits, doctor)
			_, far := g.signIn(at(acacia), nurse)
			for who, l := range map[string]*session.Live{"own": own, "own2": own2, "other": other, "far": far} {
				cuts[who] = g.watched(l)
			}
			var public atomic.Bool
			g.Streams().Register(session.AnonymousStream(harbour), func() { public.Store(true) })
			cuts["public"] = public.Load
			if n := test.cut(g.Streams(), own.ID()); n != len(test.want) {
				t.Errorf("%d cut, want %d", n, len(test.want))
			}
			for who, cut := range cuts {
				if cut() != test.want[who] {
					t.Errorf("%s: cut %v", who, cut())
				}
			}
			if n := g.Streams().Count(); n != 5-len(test.want) {
				t.Errorf("%d left", n)
			}
		})
	}
}

func TestStreamThatEndedByItselfIsNotCut(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	var cuts atomic.Int64
	done := g.Streams().Register(l.StreamKey(limits), func() { cuts.Add(1) })
	kept := g.Streams().Register(l.StreamKey(limits), func() { cuts.Add(1) })
	done()
	done()
	if g.Streams().Count() != 1 {
		t.Errorf("%d streams", g.Streams().Count())
	}
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	kept()
	g.Streams().CutPractice(harbour)
	if cuts.Load() != 1 || g.Streams().Count() != 0 {
		t.Errorf("%d cuts, %d streams", cuts.Load(), g.Streams().Count())
	}
}

func TestStreamEndsWithTheAbsoluteLimit(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	g.clock.Advance(time.Hour)
	_, later := g.signIn(limits, nurse)
	cut, cutLater := g.watched(l), g.watched(later)
	public := g.Streams().Register(session.AnonymousStream(harbour), func() { t.Error("a public stream has no limit") })
	g.clock.Advance(limits.Absolute - time.Hour - time.Microsecond)
	if n := g.Streams().CutOverdue(); n != 0 || cut() {
		t.Errorf("%d cut early", n)
	}
	g.clock.Advance(time.Microsecond)
	if n := g.Streams().CutOverdue(); n != 1 || !cut() || cutLater() {
		t.Errorf("%d cut", n)
	}
	g.clock.Advance(time.Hour)
	if n := g.Streams().CutOverdue(); n != 1 || !cutLater() {
		t.Errorf("%d cut", n)
	}
	public()
	// One that comes too late does not begin.
	if late := g.watched(l); !late() || g.Streams().Count() != 0 {
		t.Error("registered after the limit")
	}
}

func TestStreamWithAForgedKeyIsCutAtOnce(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	_, far := g.signIn(at(acacia), nurse)
	for name, key := range map[string]session.StreamKey{
		"zero":             {},
		"made by hand":     {Practice: harbour, Session: l.ID(), User: nurse, Until: g.clock.Now().Add(time.Hour)},
		"another practice": func() session.StreamKey { k := l.StreamKey(limits); k.Practice = acacia; return k }(),
		"another session":  func() session.StreamKey { k := l.StreamKey(limits); k.Session = far.ID(); return k }(),
		"without an end":   func() session.StreamKey { k := l.StreamKey(limits); k.Until = time.Time{}; return k }(),
		"no practice":      session.AnonymousStream(""),
		"named anonymous":  func() session.StreamKey { k := session.AnonymousStream(harbour); k.User = nurse; return k }(),
	} {
		cut := false
		g.Streams().Register(key, func() { cut = true })()
		if !cut || g.Streams().Count() != 0 {
			t.Errorf("%s: cut %v, %d streams", name, cut, g.Streams().Count())
		}
	}
}

func TestStreamOfAnEndedSessionIsCutAtOnce(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if cut := g.watched(l); !cut() {
		t.Error("it goes on")
	}
}

// The session had to make room in the cache before it ended: its Live cannot know.
func TestStreamOfAnEvictedAndEndedSessionIsCut(t *testing.T) {
	for name, early := range map[string]bool{"ended before the stream": true, "ended after the stream": false} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			_, l := g.signIn(limits, nurse)
			g.Evict(l)
			var cut func() bool
			if !early {
				cut = g.watched(l)
			}
			if _, err := g.EndByPublicID(t.Context(), harbour, l.ID()); err != nil {
				t.Fatal(err)
			}
			if early {
				g.catchUp() // what the ending itself queued is done already
				cut = g.watched(l)
			}
			g.catchUp()
			if !cut() {
				t.Error("it goes on")
			}
		})
	}
}

// Neither cached nor in SQL any more, only its stream is left: each kind of change
// finds it.
func TestStreamIsFoundWhateverIsLeftOfItsSession(t *testing.T) {
	for name, change := range map[string]bus.Change{
		"person": personChange(nurse), "practice": {Practice: harbour, Kind: bus.KindPractice},
		"all sessions": {Practice: harbour, Kind: bus.KindSession}, "unknown": {Kind: bus.KindAll},
	} {
		for _, disabled := range []bool{false, true} {
			for _, cached := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, disabled %v, cached %v", name, disabled, cached), func(t *testing.T) {
					g := newGate(t)
					_, l := g.signIn(limits, nurse)
					cut := g.watched(l)
					if !cached {
						g.Evict(l)
					}
					g.exec(harbour, `DELETE FROM session`)
					g.people.change(nurse, func(p *session.Person) { p.Disabled = disabled })
					g.feed.deliver(change)
					g.catchUp()
					if !cut() {
						t.Error("it goes on")
					}
				})
			}
		}
	}
}

func TestStreamOfALivingEvictedSessionGoesOn(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	cut := g.watched(l)
	g.catchUp()
	g.wantServed(limits, cookie)
	if cut() {
		t.Error("it was cut")
	}
}

// What cut does is outside all locks: it may use the registry itself.
func TestCutMayUseTheRegistry(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	s := g.Streams()
	var done func()
	called := 0
	done = s.Register(l.StreamKey(limits), func() {
		called++
		done()
		s.CutUser(harbour, nurse)
		s.Register(l.StreamKey(limits), func() { called++ })
		_ = s.Count()
	})
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if called != 2 || s.Count() != 0 {
		t.Errorf("%d calls, %d streams", called, s.Count())
	}
}

// Registering and ending at the same time, thousands of times, evictions and a
// second ending included: no stream outlives its session.
func TestNoStreamOutlivesItsSession(t *testing.T) {
	g := newGate(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var worker sync.WaitGroup
	worker.Go(func() { _ = g.Run(ctx) })
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		cookie, l := g.signIn(limits, nurse)
		var mu sync.Mutex
		var open []*atomic.Bool
		var all sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-start
				for range 20 {
					held, err := g.Lookup(ctx, limits, cookie)
					if err != nil {
						held = l
					}
					if rand.IntN(4) == 0 {
						g.Evict(held)
					}
					cut := new(atomic.Bool)
					done := g.Streams().Register(held.StreamKey(limits), func() { cut.Store(true) })
					if rand.IntN(4) == 0 {
						done()
						continue
					}
					mu.Lock()
					open = append(open, cut)
					mu.Unlock()
				}
			})
		}
		all.Go(func() {
			<-start
			var err error
			if rand.IntN(2) == 0 {
				err = g.End(ctx, l)
			} else {
				_, err = g.EndUser(ctx, harbour, nurse)
			}
			if err != nil {
				t.Errorf("End: %v", err)
			}
		})
		close(start)
		all.Wait()
		eventually(t, "every stream cut", func() bool { return g.Streams().Count() == 0 })
		for _, cut := range open {
			if !cut.Load() {
				t.Fatal("a stream left the registry without being cut")
			}
		}
	}
	cancel()
	worker.Wait()
	g.consistent(harbour)
}

func TestStreamsOfOnePersonAreManyAndGone(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	var cuts atomic.Int64
	for range 10_000 {
		g.Streams().Register(l.StreamKey(limits), func() { cuts.Add(1) })
	}
	if n := g.Streams().CutUser(harbour, nurse); n != 10_000 || cuts.Load() != 10_000 {
		t.Errorf("%d, %d cut", n, cuts.Load())
	}
}
