package session_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/session"
	"clinicgate/policy"
)

func isUnavailable(err error) bool {
	return errors.Is(err, session.ErrUnavailable) && !errors.Is(err, session.ErrNone)
}

func (g *gate) raise(l *session.Live) (cookie string, next *session.Live) {
	g.t.Helper()
	token, next, err := g.Raise(context.Background(), limits, l, policy.AAL2, []string{"otp", "mfa"})
	if err != nil {
		g.t.Fatalf("Raise: %v", err)
	}
	return token.Reveal(), next
}

func TestTokenChangesWithEveryRiseAndTheIDStays(t *testing.T) {
	g := newGate(t)
	first, l := g.signIn(limits, doctor)
	proved := g.clock.Now()
	g.clock.Advance(time.Minute)
	second, raised := g.raise(l)
	if l.Current() || !raised.Current() {
		t.Error("the wrong token is the current one")
	}
	if second == first || raised.ID() != l.ID() {
		t.Fatal("the token stayed, or the id changed")
	}
	g.Evict(raised)
	r := g.wantServed(limits, second).Record()
	if r.Level != policy.AAL2 || !r.ProvedAt[policy.AAL1].Equal(proved) || !r.ProvedAt[policy.AAL2].Equal(g.clock.Now()) {
		t.Errorf("record %+v", r)
	}
	if len(r.AMR) != 3 || r.AMR[0] != "pwd" || r.AMR[1] != "otp" || r.AMR[2] != "mfa" || !r.Created.Equal(proved) {
		t.Errorf("record %+v", r)
	}
	// Again at the same level: a step-up renews the proof, and the token.
	g.clock.Advance(time.Minute)
	third, again := g.raise(g.wantServed(limits, second))
	if third == second || !again.Subject().ProvedAt[policy.AAL2].Equal(g.clock.Now()) || len(again.Record().AMR) != 3 {
		t.Errorf("record %+v", again.Record())
	}
}

func TestReplacedTokenKeepsItsOldAssuranceForTenSeconds(t *testing.T) {
	for _, where := range []string{"in memory", "from SQL", "on another node"} {
		t.Run(where, func(t *testing.T) {
			g := newGate(t)
			old, l := g.signIn(limits, doctor)
			other := g.again()
			if where == "on another node" {
				other.wantServed(limits, old)
			}
			_, next := g.raise(l)
			node := g
			switch where {
			case "from SQL":
				g.Evict(l)
			case "on another node":
				node = other
				other.feed.deliver(changeOf(l))
			}
			served := node.wantServed(limits, old)
			if s := served.Subject(); s.Level != policy.AAL1 || !s.ProvedAt[policy.AAL2].IsZero() || served.Current() {
				t.Errorf("subject of the old token: %+v", s)
			}
			if next.Subject().Level != policy.AAL2 {
				t.Error("the new token was not raised")
			}
			g.clock.Advance(10*time.Second - time.Microsecond)
			node.wantServed(limits, old)
			g.clock.Advance(time.Microsecond)
			node.wantError(limits, old, session.ErrNone)
			g.again().wantError(limits, old, session.ErrNone)
		})
	}
}

func TestReplacedTokenCannotBeRaised(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, doctor)
	other := g.again()
	stale := other.wantServed(limits, cookie) // the other node does not know yet
	g.raise(l)
	for name, try := range map[string]func() error{
		"here": func() error { _, _, err := g.Raise(t.Context(), limits, l, policy.AAL2, []string{"otp"}); return err },
		"elsewhere": func() error {
			_, _, err := other.Raise(t.Context(), limits, stale, policy.AAL2, []string{"otp"})
			return err
		},
	} {
		if err := try(); err != session.ErrRotated {
			t.Errorf("%s: %v, want ErrRotated", name, err)
		}
	}
	if n := g.count(harbour, `SELECT count(*) FROM session_token WHERE dies_at = 0`); n != 1 {
		t.Errorf("%d current tokens", n)
	}
}

// 50 parallel requests with the old cookie while the session rotates: each is
// served, at the old assurance, and nobody is logged out (THREATS C6).
func TestFiftyRequestsAtARotation(t *testing.T) {
	g := newGate(t)
	for range 20 {
		old, l := g.signIn(limits, doctor)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				<-start
				if i%5 == 0 {
					g.Evict(l) // so that some come from SQL
				}
				served, err := g.lookup(limits, old)
				if err != nil {
					t.Errorf("logged out: %v", err)
				} else if served.Subject().Level != policy.AAL1 {
					t.Error("the old token was raised")
				}
			})
		}
		var next string
		all.Go(func() { <-start; next, _ = g.raise(l) })
		close(start)
		all.Wait()
		if g.wantServed(limits, next).Subject().Level != policy.AAL2 {
			t.Error("the new token was not raised")
		}
	}
	g.consistent(harbour)
}

func TestManyRaisesAtOnceMakeOneToken(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, doctor)
	other := g.again()
	var done, rotated atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		node := g
		if i%2 == 1 {
			node = other
		}
		l := node.wantServed(limits, cookie)
		all.Go(func() {
			switch _, _, err := node.Raise(context.Background(), limits, l, policy.AAL2, []string{"otp"}); err {
			case nil:
				done.Add(1)
			case session.ErrRotated:
				rotated.Add(1)
			default:
				t.Errorf("Raise: %v", err)
			}
		})
	}
	all.Wait()
	if done.Load() != 1 || rotated.Load() != 15 {
		t.Errorf("%d raised, %d told to try again", done.Load(), rotated.Load())
	}
}

func TestRaiseAfterTheEndBringsNothingBack(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, doctor)
	other := g.again()
	stale := other.wantServed(limits, cookie)
	if err := g.End(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.Raise(t.Context(), limits, l, policy.AAL2, []string{"otp"}); err != session.ErrNone {
		t.Errorf("here: %v", err)
	}
	if _, _, err := other.Raise(t.Context(), limits, stale, policy.AAL2, []string{"otp"}); err != session.ErrNone {
		t.Errorf("elsewhere: %v", err)
	}
	other.catchUp()
	g.wantError(limits, cookie, session.ErrNone)
	other.wantError(limits, cookie, session.ErrNone)
	if n := g.count(harbour, `SELECT count(*) FROM session_token`); n != 0 {
		t.Errorf("%d tokens left", n)
	}
}

// End and Raise at the same time: whichever comes first, afterwards neither token
// opens anything.
func TestEndWinsOverRaise(t *testing.T) {
	g := newGate(t)
	for range 60 {
		old, l := g.signIn(limits, doctor)
		var next session.Token
		var all sync.WaitGroup
		start := make(chan struct{})
		all.Go(func() { <-start; next, _, _ = g.Raise(context.Background(), limits, l, policy.AAL2, []string{"otp"}) })
		all.Go(func() {
			<-start
			if err := g.End(context.Background(), l); err != nil {
				t.Errorf("End: %v", err)
			}
		})
		close(start)
		all.Wait()
		g.wantError(limits, old, session.ErrNone)
		g.wantError(limits, next.Reveal(), session.ErrNone)
	}
	if n := g.count(harbour, `SELECT count(*) FROM session_token`); n != 0 {
		t.Errorf("%d tokens left", n)
	}
	g.consistent(harbour)
}

func TestRaiseOfSomebodyDisabledMeanwhile(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, doctor)
	g.people.change(doctor, func(p *session.Person) { p.Disabled = true })
	g.feed.deliver(personChange(doctor))
	if _, _, err := g.Raise(t.Context(), limits, l, policy.AAL2, []string{"otp"}); err != session.ErrNone {
		t.Errorf("Raise: %v", err)
	}
	g.wantError(limits, cookie, session.ErrNone)
}

func TestRaiseRefusesNonsense(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, doctor)
	for name, try := range map[string]struct {
		p     session.Practice
		l     *session.Live
		level policy.Level
		amr   []string
	}{
		"no session":       {limits, nil, policy.AAL2, []string{"otp"}},
		"another practice": {at(acacia), l, policy.AAL2, []string{"otp"}},
		"no level":         {limits, l, policy.LevelNone, []string{"otp"}},
		"unknown level":    {limits, l, 4, []string{"otp"}},
		"negative level":   {limits, l, -1, []string{"otp"}},
		"no method":        {limits, l, policy.AAL2, nil},
		"empty method":     {limits, l, policy.AAL2, []string{""}},
		"comma":            {limits, l, policy.AAL2, []string{"otp,hwk"}},
		"header":           {limits, l, policy.AAL2, []string{"otp\r\nX: y"}},
	} {
		if _, next, err := g.Raise(t.Context(), try.p, try.l, try.level, try.amr); err == nil || next != nil {
			t.Errorf("%s: raised", name)
		}
	}
	if !l.Current() {
		t.Error("a refused raise rotated the session")
	}
}

func TestCreateRefusesNonsense(t *testing.T) {
	g := newGate(t)
	for name, edit := range map[string]func(*session.SignIn){
		"nobody":         func(s *session.SignIn) { s.User = "" },
		"long id":        func(s *session.SignIn) { s.User = string(make([]byte, 65)) },
		"nothing proved": func(s *session.SignIn) { s.ProvedAt = [4]time.Time{} },
		"level none":     func(s *session.SignIn) { s.ProvedAt[0] = g.clock.Now() },
		"the future":     func(s *session.SignIn) { s.ProvedAt[1] = g.clock.Now().Add(31 * time.Second) },
		"no methods":     func(s *session.SignIn) { s.AMR = nil },
		"many methods":   func(s *session.SignIn) { s.AMR = make([]string, 13) },
		"long method":    func(s *session.SignIn) { s.AMR = []string{"abcdefghijklmnopq"} },
		"held":           func(s *session.SignIn) { s.Held = 9 },
	} {
		in := passwordOf(nurse, g.clock.Now())
		edit(&in)
		if _, l, err := g.Create(t.Context(), limits, in); err == nil || l != nil {
			t.Errorf("%s: made", name)
		}
	}
	in := passwordOf("nobody", g.clock.Now())
	if _, _, err := g.Create(t.Context(), limits, in); err != session.ErrRefused {
		t.Errorf("unknown person: %v", err)
	}
	g.people.change(nurse, func(p *session.Person) { p.Disabled = true })
	if _, _, err := g.Create(t.Context(), limits, passwordOf(nurse, g.clock.Now())); err != session.ErrRefused {
		t.Errorf("disabled person: %v", err)
	}
	if n := g.count(harbour, `SELECT count(*) FROM session`); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// A sign-in may begin on a node whose clock is a little ahead; it gains nothing.
func TestProofIsNeverLaterThanNow(t *testing.T) {
	g := newGate(t)
	in := passwordOf(nurse, g.clock.Now().Add(10*time.Second))
	_, l, err := g.Create(t.Context(), limits, in)
	if err != nil {
		t.Fatal(err)
	}
	if at := l.Subject().ProvedAt[policy.AAL1]; !at.Equal(g.clock.Now()) {
		t.Errorf("proved at %v, now it is %v", at, g.clock.Now())
	}
}

// A second factor that the identity provider holds counts as the person's.
func TestHeldFactorCountsAsEnrolled(t *testing.T) {
	g := newGate(t)
	in := passwordOf(nurse, g.clock.Now())
	in.ProvedAt[policy.AAL2PR], in.Held = g.clock.Now(), policy.AAL2PR
	_, l, err := g.Create(t.Context(), limits, in)
	if err != nil {
		t.Fatal(err)
	}
	if s := l.Subject(); !s.HasSecondFactor || !s.HasPhishingResistant || s.Level != policy.AAL2PR {
		t.Errorf("subject %+v", s)
	}
	g.feed.deliver(personChange(nurse))
	g.catchUp()
	if s := l.Subject(); !s.HasSecondFactor {
		t.Error("lost at a refresh")
	}
}
