package session_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// account is one session of the stress test: which cookies it had, and whether its
// ending has been answered.
type account struct {
	mu       sync.Mutex
	practice session.Practice
	user     string
	cookies  []string
	current  *session.Live
	ended    atomic.Bool
}

// Many look-ups, rotations, endings, evictions, flushes and changes at once, at two
// practices and on two nodes that hear of each other. What
// must hold: no look-up that begins after an ending was answered on that node finds
// the session, nobody gets another's, and nothing is lost that was not ended
// (THREATS T4, C6).
func TestEverythingAtOnce(t *testing.T) {
	g := newGate(t, maxCached(512))
	other := g.again(maxCached(512))
	link(g, other)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var background sync.WaitGroup
	for _, n := range []*gate{g, other} {
		background.Go(func() { _ = n.Run(ctx) })
	}
	rounds, workers := 5, 12
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		var accounts []*account
		for i := range 16 {
			p, user := limits, nurse
			if i%2 == 1 {
				p = at(acacia)
			}
			if i%4 > 1 {
				user = doctor
			}
			cookie, l := g.signIn(p, user)
			accounts = append(accounts, &account{practice: p, user: user, cookies: []string{cookie}, current: l})
		}
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for range 150 {
					act(t, g, other, accounts[rand.IntN(len(accounts))])
				}
			})
		}
		all.Wait()
		for _, a := range accounts {
			check(t, g, a)
		}
	}
	cancel()
	background.Wait()
	for _, p := range []policy.PracticeID{harbour, acacia} {
		g.consistent(p)
		other.consistent(p)
	}
	if n := g.Stats().Mismatches + other.Stats().Mismatches; n != 0 {
		t.Errorf("%d mismatches", n)
	}
}

// link brings each node's changes to the other.
func link(a, b *gate) {
	a.feed.handlers = append(a.feed.handlers, func(c bus.Change) { b.feed.handlers[0](c) })
	b.feed.handlers = append(b.feed.handlers, func(c bus.Change) { a.feed.handlers[0](c) })
}

func act(t *testing.T, g, other *gate, a *account) {
	node := g
	if rand.IntN(3) == 0 {
		node = other
	}
	switch rand.IntN(20) {
	case 0:
		if rand.IntN(4) == 0 {
			a.end(t, node)
		}
	case 1, 2:
		a.raise(t, node)
	case 3:
		_ = node.Flush(context.Background())
	case 4:
		node.feed.deliver(bus.Change{Practice: a.practice.ID, Kind: bus.KindPerson, Ref: a.user})
	case 5:
		node.feed.deliver(bus.Change{Practice: a.practice.ID, Kind: bus.KindPractice})
	case 6:
		if l, err := node.lookup(a.practice, a.cookie()); err == nil {
			node.Evict(l)
		}
	default:
		a.lookup(t, node)
	}
}

func (a *account) cookie() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cookies[rand.IntN(len(a.cookies))]
}

func (a *account) lookup(t *testing.T, node *gate) {
	ended := a.ended.Load()
	l, err := node.lookup(a.practice, a.cookie())
	switch {
	case ended && err == nil:
		t.Error("found after its ending was answered")
	case !ended && errors.Is(err, session.ErrNone) && !a.endedSoon():
		t.Error("logged out")
	case err != nil && !errors.Is(err, session.ErrNone) && !errors.Is(err, session.ErrUnavailable):
		t.Errorf("Lookup: %v", err)
	}
	if err == nil {
		if l.Practice() != a.practice.ID || l.Person().ID != a.user || l.Subject().UserID != a.user {
			t.Error("somebody else's session")
		}
		l.Touch(node.clock.Now())
	}
}

// endedSoon waits for an ending that is under way: it holds the lock.
func (a *account) endedSoon() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended.Load()
}

func (a *account) raise(t *testing.T, node *gate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	token, next, err := node.Raise(context.Background(), a.practice, a.current, policy.AAL2, []string{"otp"})
	switch {
	case err == nil && a.ended.Load():
		t.Error("raised after its end")
	case err == nil:
		a.cookies, a.current = append(a.cookies, token.Reveal()), next
	case !a.ended.Load() && !errors.Is(err, session.ErrUnavailable):
		t.Errorf("Raise: %v", err)
	}
}

func (a *account) end(t *testing.T, node *gate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := node.EndByPublicID(context.Background(), a.practice.ID, a.current.ID()); err != nil {
		t.Errorf("End: %v", err)
		return
	}
	a.ended.Store(true)
}

// check says at the end of a round what each session has to be.
func check(t *testing.T, g *gate, a *account) {
	t.Helper()
	last := a.cookies[len(a.cookies)-1]
	_, err := g.lookup(a.practice, last)
	if a.ended.Load() && err != session.ErrNone || !a.ended.Load() && err != nil {
		t.Errorf("at the end: ended %v, %v", a.ended.Load(), err)
	}
}
