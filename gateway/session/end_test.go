package session_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// watched registers a stream and says whether it was cut.
func (g *gate) watched(l *session.Live) (cut func() bool) {
	done := make(chan struct{})
	g.Streams().Register(l.StreamKey(limits), func() { close(done) })
	return func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestLogoutKillsTheSessionEverywhere(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	kept, _ := g.signIn(limits, nurse)
	cut := g.watched(l)
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if !l.Ended() || !cut() {
		t.Error("not marked, or its stream goes on")
	}
	g.wantError(limits, cookie, session.ErrNone)
	g.again().wantError(limits, cookie, session.ErrNone)
	g.wantServed(limits, kept)
	if sent := g.feed.published(); len(sent) != 1 || sent[0] != changeOf(l) {
		t.Errorf("published %v", sent)
	}
	if err := g.End(t.Context(), l); err != nil {
		t.Errorf("ending twice: %v", err)
	}
	for _, query := range []string{`SELECT count(*) FROM session`, `SELECT count(*) FROM session_token`} {
		if n := g.count(harbour, query); n != 1 {
			t.Errorf("%s: %d", query, n)
		}
	}
}

func TestEndings(t *testing.T) {
	type ending func(g *gate, l *session.Live) (int, error)
	for name, test := range map[string]struct {
		end  ending
		left []string // of: own, own2, other
		want int
	}{
		"by public id": {func(g *gate, l *session.Live) (int, error) {
			found, err := g.EndByPublicID(g.t.Context(), harbour, l.ID())
			if !found {
				g.t.Error("not found")
			}
			return 1, err
		}, []string{"other", "own2"}, 1},
		"user": {func(g *gate, l *session.Live) (int, error) {
			return g.EndUser(g.t.Context(), harbour, nurse)
		}, []string{"other"}, 2},
		"others": {func(g *gate, l *session.Live) (int, error) {
			return g.EndOthers(g.t.Context(), l)
		}, []string{"other", "own"}, 1},
		"practice": {func(g *gate, l *session.Live) (int, error) {
			return g.EndPractice(g.t.Context(), harbour)
		}, nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			node := g.again()
			far, _ := g.signIn(at(acacia), nurse)
			cookies, cuts := map[string]string{}, map[string]func() bool{}
			var own *session.Live
			for who, user := range map[string]string{"own": nurse, "own2": nurse, "other": doctor} {
				cookie, l := g.signIn(limits, user)
				cookies[who], cuts[who] = cookie, node.watched(node.wantServed(limits, cookie))
				if who == "own" {
					own = l
				}
			}
			if n, err := test.end(g, own); err != nil || n != test.want {
				t.Fatalf("ended %d, %v; want %d", n, err, test.want)
			}
			for _, change := range g.feed.published() {
				node.feed.deliver(change)
			}
			node.catchUp()
			for _, who := range []string{"other", "own", "own2"} {
				want := error(session.ErrNone)
				if slices.Contains(test.left, who) {
					want = nil
				}
				for _, n := range []*gate{g, node, g.again()} {
					if _, err := n.lookup(limits, cookies[who]); err != want {
						t.Errorf("%s: %v, want %v", who, err, want)
					}
				}
				if cut := cuts[who](); cut != (want != nil) {
					t.Errorf("%s: stream cut: %v", who, cut)
				}
			}
			g.wantServed(at(acacia), far)
		})
	}
}

// Another node was first, and its news are still on their way.
func TestEndingWhatAnotherNodeHasEnded(t *testing.T) {
	for name, end := range map[string]func(g *gate, l *session.Live) error{
		"session": func(g *gate, l *session.Live) error { return g.End(g.t.Context(), l) },
		"user": func(g *gate, _ *session.Live) error {
			_, err := g.EndUser(g.t.Context(), harbour, nurse)
			return err
		},
	} {
		for _, feed := range []string{"works", "is down"} {
			t.Run(name+", feed "+feed, func(t *testing.T) {
				g := newGate(t)
				cookie, l := g.signIn(limits, nurse)
				cut := g.watched(l)
				if err := g.again().End(t.Context(), l); err != nil {
					t.Fatal(err)
				}
				g.wantServed(limits, cookie)
				g.feed.fails.Store(feed == "is down")
				if err := end(g, l); err != nil {
					t.Fatal(err)
				}
				if name == "session" && !cut() {
					t.Error("its stream waits")
				}
				g.wantError(limits, cookie, session.ErrNone)
				g.catchUp()
				if !cut() {
					t.Error("its stream goes on")
				}
			})
		}
	}
}

func TestEndOfAnUnknownSession(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, nurse)
	found, err := g.EndByPublicID(t.Context(), acacia, l.ID())
	if found || err != nil || l.Ended() {
		t.Errorf("another practice's session: %v, %v, ended: %v", found, err, l.Ended())
	}
	if found, err := g.EndByPublicID(t.Context(), harbour, session.ID{}); found || err != nil {
		t.Errorf("zero id: %v, %v", found, err)
	}
}

// The client that asked for its logout does not wait for the answer.
func TestCancelledLogoutLogsOut(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.End(ctx, l); err != nil {
		t.Fatal(err)
	}
	g.wantError(limits, cookie, session.ErrNone)
}

// Deleted more than one transaction holds.
func TestEndPracticeWithManySessions(t *testing.T) {
	g := newGate(t)
	g.exec(harbour, `WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 1200)
		INSERT INTO session SELECT 'harbour', CAST(10000000 + v AS TEXT) || '-0000-4000-8000-000000000000', 'x', 1, 1, '', '' FROM n`)
	cookie, _ := g.signIn(limits, nurse)
	token, err := g.Flows().Begin(t.Context(), harbour, flowOf(nurse, g.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := g.EndPractice(t.Context(), harbour); err != nil || n != 1201 {
		t.Errorf("ended %d, %v", n, err)
	}
	g.wantError(limits, cookie, session.ErrNone)
	if _, err := g.Flows().Peek(t.Context(), harbour, token.Reveal()); err != session.ErrNone {
		t.Errorf("a sign-in in progress goes on: %v", err)
	}
}

func TestMaxPerUserEndsTheOldest(t *testing.T) {
	g := newGate(t)
	p := limits
	p.MaxPerUser = 2
	other, _ := g.signIn(p, doctor)
	var cookies []string
	var cuts []func() bool
	for range 4 {
		cookie, l := g.signIn(p, nurse)
		cookies, cuts = append(cookies, cookie), append(cuts, g.watched(l))
		g.clock.Advance(time.Second)
	}
	for i, cookie := range cookies {
		if _, err := g.lookup(p, cookie); (err == nil) != (i >= 2) || cuts[i]() != (i < 2) {
			t.Errorf("session %d: %v, cut %v", i, err, cuts[i]())
		}
	}
	g.wantServed(p, other)
	if n := len(g.feed.published()); n != 2 {
		t.Errorf("%d changes published, want 2", n)
	}
	if n := g.count(harbour, `SELECT count(*) FROM session_token`); n != 3 {
		t.Errorf("%d tokens", n)
	}
}

func TestSessionsWithoutALimitAreBoundedAllTheSame(t *testing.T) {
	g := newGate(t)
	g.exec(harbour, `WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 1005)
		INSERT INTO session SELECT 'harbour', CAST(10000000 + v AS TEXT) || '-0000-4000-8000-000000000000', $1, v, v, '', '' FROM n`, nurse)
	g.signIn(limits, nurse)
	if n := g.count(harbour, `SELECT count(*) FROM session`); n != 1000 {
		t.Errorf("%d sessions", n)
	}
	if n := g.count(harbour, `SELECT min(created) FROM session`); n != 7 {
		t.Errorf("the oldest left is %d", n)
	}
}

func TestChangeThatCannotBePublishedIsPublishedLater(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	cut := g.watched(l)
	g.feed.fails.Store(true)
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if !cut() {
		t.Error("the stream waits for the feed")
	}
	g.wantError(limits, cookie, session.ErrNone)
	g.PublishPending(t.Context())
	if len(g.feed.published()) != 0 {
		t.Fatal("published through a feed that fails")
	}
	g.feed.fails.Store(false)
	g.PublishPending(t.Context())
	g.PublishPending(t.Context())
	if sent := g.feed.published(); len(sent) != 1 || sent[0] != changeOf(l) {
		t.Errorf("published %v", sent)
	}
	if g.Stats().Unpublished != 1 {
		t.Error("not counted")
	}
}

func TestListIsThePersonsOwn(t *testing.T) {
	g := newGate(t)
	first, l := g.signIn(limits, nurse)
	g.signIn(limits, doctor)
	g.clock.Advance(time.Minute)
	second, _ := g.signIn(limits, nurse)
	g.raise(l)
	g.clock.Advance(time.Minute)
	g.wantServed(limits, second).Touch(g.clock.Now())
	_ = first
	records, err := g.List(t.Context(), limits, nurse)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d sessions, %v", len(records), err)
	}
	if records[0].User != nurse || records[1].ID != l.ID() || records[1].Level != policy.AAL2 || !records[0].LastSeen.Equal(g.clock.Now()) {
		t.Errorf("records %+v", records)
	}
	all, err := g.ListAll(t.Context(), limits, 2)
	if err != nil || len(all) != 2 {
		t.Errorf("%d of all, %v", len(all), err)
	}
	if all, err := g.ListAll(t.Context(), limits, 0); err != nil || len(all) != 3 {
		t.Errorf("%d of all, %v", len(all), err)
	}
	g.clock.Advance(limits.Idle)
	if records, err := g.List(t.Context(), limits, nurse); err != nil || len(records) != 0 {
		t.Errorf("%d sessions that are over, %v", len(records), err)
	}
}

func TestRemovedPracticeHasNoSessions(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	cut := g.watched(l)
	if err := g.db.Remove(t.Context(), harbour); err != nil {
		t.Fatal(err)
	}
	g.feed.deliver(bus.Change{Practice: harbour, Kind: bus.KindPractice})
	g.catchUp()
	if !cut() || !l.Ended() {
		t.Error("it lives on")
	}
	if err := g.db.Create(t.Context(), harbour); err != nil { // the host is used again (T5)
		t.Fatal(err)
	}
	g.wantError(limits, cookie, session.ErrNone)
}
