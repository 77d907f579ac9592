package session_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"clinicgate/gateway/session"
	"clinicgate/policy"
)

func BenchmarkLookupHit(b *testing.B) {
	g := newGate(b)
	g.Manager = realTime(g)
	cookie, _ := g.signIn(limits, doctor)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Lookup(ctx, limits, cookie); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupHitParallel(b *testing.B) {
	g := newGate(b)
	g.Manager = realTime(g)
	cookie, _ := g.signIn(limits, doctor)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := g.Lookup(ctx, limits, cookie)
			if err != nil {
				b.Fatal(err)
			}
			l.Touch(g.clock.Now())
		}
	})
}

// realTime has the clock that production has.
func realTime(g *gate) *session.Manager {
	g.clock.micros.Store(time.Now().UnixMicro())
	return session.New(session.Options{DB: g.db, Feed: g.feed, People: g.people, Keys: keys, Now: time.Now})
}

func BenchmarkLookupMiss(b *testing.B) {
	g := newGate(b)
	cookie, l := g.signIn(limits, doctor)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		g.Evict(l)
		var err error
		if l, err = g.Lookup(ctx, limits, cookie); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupUnknown(b *testing.B) {
	g := newGate(b)
	cookie := tokenOf(harbour).Reveal()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Lookup(ctx, limits, cookie); err != session.ErrNone {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	g := newGate(b)
	for b.Loop() {
		g.signIn(limits, doctor)
	}
}

func BenchmarkFlush(b *testing.B) {
	g := newGate(b)
	var lives []*session.Live
	for range session.FlushChunk {
		_, l := g.signIn(limits, doctor)
		lives = append(lives, l)
	}
	ctx := context.Background()
	for b.Loop() {
		g.clock.Advance(time.Second)
		for _, l := range lives {
			l.Touch(g.clock.Now())
		}
		if err := g.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// fill enters sessions into the cache as loads do, without SQL.
func fill(tb testing.TB, sessions, practices, perPerson int) (*gate, []string, []session.Practice) {
	g := newGate(tb, maxCached(2*sessions))
	g.Manager = session.New(session.Options{DB: g.db, Feed: g.feed, People: g.people, Keys: keys, Now: g.clock.Now, MaxCached: 2 * sessions})
	all := make([]session.Practice, practices)
	for i := range all {
		all[i] = at(policy.PracticeID(fmt.Sprintf("practice-%05d", i)))
	}
	cookies := make([]string, 0, sessions)
	for i := range sessions {
		p := all[i%practices]
		person := i / practices / perPerson
		token := tokenOf(harbour)
		g.Enter(p, token, session.Person{
			ID: fmt.Sprintf("%08x-%04x-4111-8111-111111111111", i%practices, person), Email: fmt.Sprintf("person-%d@practice-%d.example", person, i%practices),
			Name: fmt.Sprintf("Person Number %d", person), Roles: []string{"clinician", "billing"},
		}, "Firefox on Windows")
		cookies = append(cookies, token.Reveal())
	}
	return g, cookies, all
}

// heap is what is live, in bytes and in pieces of memory.
func heap() (bytes, pieces uint64) {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc, s.HeapObjects
}

// BenchmarkMillion looks up at random among a million cached sessions of 10,000
// practices, and reports the memory of each.
func BenchmarkMillion(b *testing.B) {
	const sessions = 1_000_000
	for _, perPerson := range []int{1, 2} {
		b.Run(fmt.Sprintf("%d-each", perPerson), func(b *testing.B) {
			before, _ := heap()
			g, cookies, all := fill(b, sessions, 10_000, perPerson)
			tokens := uint64(len(cookies)) * (64 + 16) // the test's own
			used, _ := heap()
			used -= before + tokens
			ctx := context.Background()
			i := 0
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n++ {
				i = (i + 7_919_777) % sessions
				if _, err := g.Lookup(ctx, all[i%len(all)], cookies[i]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(used)/sessions, "B/session")
		})
	}
}

// TestCachedSessionTakesLessThanAKilobyte in few pieces: the garbage collector has to
// find every one of a million sessions'.
func TestCachedSessionTakesLessThanAKilobyte(t *testing.T) {
	const sessions, mostPieces = 100_000, 7
	before, piecesBefore := heap()
	g, cookies, _ := fill(t, sessions, 1000, 1)
	used, pieces := heap()
	used -= before + uint64(len(cookies))*80
	pieces -= piecesBefore + uint64(len(cookies))
	t.Logf("%d bytes in %.1f pieces for each session, each of another person", used/sessions, float64(pieces)/sessions)
	if used/sessions > 1024 {
		t.Error("want at most 1024 bytes")
	}
	if pieces > sessions*mostPieces {
		t.Errorf("want at most %d pieces", mostPieces)
	}
	if g.Stats().Cached != sessions {
		t.Errorf("%d cached", g.Stats().Cached)
	}
	runtime.KeepAlive(cookies)
}
