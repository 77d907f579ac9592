package session_test

import (
	"sync/atomic"
	"testing"

	"clinicgate/gateway/session"
)

// stream opens a stream that may go on as long as may says so.
func (g *gate) stream(key session.StreamKey, may *atomic.Bool) (cut *atomic.Bool, st *session.Stream) {
	cut, st = new(atomic.Bool), new(session.Stream)
	g.Streams().Open(st, key, session.Held{May: may.Load, End: func() { cut.Store(true) }})
	return cut, st
}

// A change of the policy ends what it does not allow any more, of that practice only,
// and leaves the rest alone: also what was opened a moment ago.
func TestNewPolicyCutsWhatItDoesNotAllow(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	_, far := g.signIn(at(acacia), nurse)
	streams := map[string]struct {
		key        session.StreamKey
		may, after bool
	}{
		"forbidden":         {l.StreamKey(limits), false, true},
		"forbidden, public": {session.AnonymousStream(harbour), false, true},
		"allowed":           {l.StreamKey(limits), true, false},
		"allowed, public":   {session.AnonymousStream(harbour), true, false},
		"another practice":  {far.StreamKey(at(acacia)), false, false},
	}
	now, cuts := map[string]*atomic.Bool{}, map[string]*atomic.Bool{}
	for name, s := range streams {
		now[name] = new(atomic.Bool)
		now[name].Store(true)
		cuts[name], _ = g.stream(s.key, now[name])
	}
	for name, s := range streams {
		now[name].Store(s.may)
	}
	for range 2 { // the second finds nothing left to cut
		g.Streams().Review(harbour)
		for name, s := range streams {
			if got := cuts[name].Load(); got != s.after {
				t.Errorf("%s: cut %t, want %t", name, got, s.after)
			}
		}
	}
	if n := g.Streams().Count(); n != 3 {
		t.Errorf("%d left, want 3", n)
	}
}

// Decided under the old policy, opened when the new one is in force.
func TestStreamOfAFormerPolicyDoesNotBegin(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	for name, key := range map[string]session.StreamKey{"signed in": l.StreamKey(limits), "public": session.AnonymousStream(harbour)} {
		cut, _ := g.stream(key, new(atomic.Bool))
		if !cut.Load() || g.Streams().Count() != 0 {
			t.Errorf("%s: cut %t, %d streams", name, cut.Load(), g.Streams().Count())
		}
	}
}

// Opening and closing is what every request does: it must stay cheap, whatever else
// is open.
func TestShortExchangeAllocatesNothing(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	for range 1000 {
		g.Streams().Register(l.StreamKey(limits), func() {})
	}
	s, st, holder := g.Streams(), new(session.Stream), session.Holder(session.Held{End: func() {}})
	if n := testing.AllocsPerRun(100, func() {
		s.Open(st, l.StreamKey(limits), holder)
		if !s.Close(st) || s.Close(st) {
			t.Error("not open, or closed twice")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Streams leave in any order, before and after they were looked for.
func TestStreamsLeaveInAnyOrder(t *testing.T) {
	for name, order := range map[string][]int{"first to last": {0, 1, 2, 3}, "last to first": {3, 2, 1, 0}, "from the middle": {1, 2, 0, 3}} {
		for settled := range 5 {
			g := newGate(t)
			_, l := g.signIn(limits, nurse)
			may := new(atomic.Bool)
			may.Store(true)
			var all [4]*session.Stream
			var cuts [4]*atomic.Bool
			for i := range all {
				if i == settled {
					g.Streams().CutUser(harbour, doctor)
				}
				cuts[i], all[i] = g.stream(l.StreamKey(limits), may)
			}
			for n, i := range order[:3] {
				if !g.Streams().Close(all[i]) || g.Streams().Count() != 3-n {
					t.Errorf("%s, settled after %d: %d streams", name, settled, g.Streams().Count())
				}
			}
			if n := g.Streams().CutSession(harbour, l.ID()); n != 1 || !cuts[order[3]].Load() || cuts[order[0]].Load() {
				t.Errorf("%s, settled after %d: %d cut", name, settled, n)
			}
		}
	}
}

// A session that a shortened limit has ended is not within it.
func TestSessionLastsAsLongAsBothLimitsSay(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	g.clock.Advance(limits.Idle / 2)
	for name, c := range map[string]struct {
		change func(*session.Practice)
		want   bool
	}{
		"unchanged":        {func(*session.Practice) {}, true},
		"shorter idle":     {func(p *session.Practice) { p.Idle = limits.Idle / 2 }, false},
		"shorter absolute": {func(p *session.Practice) { p.Absolute = limits.Idle / 2 }, false},
	} {
		p := limits
		c.change(&p)
		if got := l.Lasts(p, g.clock.Now()); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if l.Lasts(limits, g.clock.Now()) {
		t.Error("it lasts after its end")
	}
}
