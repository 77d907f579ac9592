package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"clinicgate/gateway/session"
	"clinicgate/policy"
)

func TestSignInIsFoundWithWhatWasProved(t *testing.T) {
	g := newGate(t)
	cookie, made := g.signIn(limits, doctor)
	g.Evict(made) // so that what is compared came from SQL
	l := g.wantServed(limits, cookie)
	if l == made {
		t.Fatal("the entry was not evicted")
	}
	record, subject, person := l.Record(), l.Subject(), l.Person()
	if record.Practice != harbour || record.ID != made.ID() || record.User != doctor || record.Level != policy.AAL1 ||
		!record.Created.Equal(g.clock.Now()) || !record.LastSeen.Equal(g.clock.Now()) ||
		len(record.AMR) != 1 || record.AMR[0] != "pwd" || record.Agent != "Firefox on Windows" || record.Addr.String() != "192.0.2.7" {
		t.Errorf("record: %+v", record)
	}
	if subject.UserID != doctor || len(subject.Roles) != 2 || subject.Level != policy.AAL1 ||
		!subject.ProvedAt[policy.AAL1].Equal(g.clock.Now()) || !subject.ProvedAt[policy.AAL2].IsZero() || !subject.HasSecondFactor {
		t.Errorf("subject: %+v", subject)
	}
	if person.Email != "clinician@harbour.test" {
		t.Errorf("person: %+v", person)
	}
}

func (g *gate) Evict(l *session.Live) { l.Evict() }

func TestHitAsksNobody(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	reads, writes, asked := g.store.reads.Load(), g.store.writes.Load(), g.people.asked.Load()
	for range 100 {
		g.wantServed(limits, cookie).Touch(g.clock.Now())
		g.clock.Advance(time.Second)
	}
	if g.store.reads.Load() != reads || g.store.writes.Load() != writes || g.people.asked.Load() != asked {
		t.Error("a hit did I/O")
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	ctx := context.Background()
	n := testing.AllocsPerRun(1000, func() {
		l, err := g.Lookup(ctx, limits, cookie)
		if err != nil || l.Subject() == nil || l.Ended() {
			t.Fatal("not served")
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMalformedCookieIsNobodyWithoutAQuery(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	for name, value := range malformed(cookie) {
		t.Run(name, func(t *testing.T) { g.wantError(limits, value, session.ErrNone) })
	}
	if n := g.store.reads.Load(); n != 0 {
		t.Errorf("%d queries", n)
	}
}

func TestUnknownTokenCostsOneQueryAndIsNotRemembered(t *testing.T) {
	g := newGate(t)
	for range 50 {
		g.wantError(limits, tokenOf(harbour).Reveal(), session.ErrNone)
	}
	if n := g.store.reads.Load(); n != 50 {
		t.Errorf("%d queries for 50 tokens", n)
	}
	if s := g.Stats(); s.Cached != 0 || s.Unknown != 50 {
		t.Errorf("stats: %+v", s)
	}
}

func TestConcurrentMissesShareOneLoad(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	const many = 64
	reads := g.store.reads.Load()
	var waiting sync.WaitGroup
	release := make(chan struct{})
	hook := func(bool) { <-release }
	g.store.before.Store(&hook)
	var all sync.WaitGroup
	waiting.Add(many)
	for range many {
		all.Go(func() {
			waiting.Done()
			if _, err := g.lookup(limits, cookie); err != nil {
				t.Errorf("Lookup: %v", err)
			}
		})
	}
	waiting.Wait()
	close(release)
	all.Wait()
	if n := g.store.reads.Load() - reads; n != 1 {
		t.Errorf("%d queries for %d requests", n, many)
	}
}

// A request that waits for another's reading gives up with its own client, and the
// one that reads does not give up with its.
func TestCancelledRequestDoesNotSpoilTheOthers(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	entered, release := make(chan struct{}), make(chan struct{})
	hook := func(bool) { close(entered); <-release }
	g.store.before.Store(&hook)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := g.Lookup(ctx, limits, cookie); err != nil {
			t.Errorf("the reader: %v", err)
		}
	})
	<-entered
	cancel()
	if _, err := g.Lookup(ctx, limits, cookie); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the one who waits: %v", err)
	}
	close(release)
	all.Wait()
	g.wantServed(limits, cookie)
}

func TestTokenOfOnePracticeIsNothingAtAnother(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.wantError(at(acacia), cookie, session.ErrNone)
	// Even a copy of the rows in the other practice's database opens nothing (T6).
	g.exec(acacia, `INSERT INTO session VALUES ('acacia', $1, $2, $3, $3, '', '')`, "0f8fad5b-d9cb-469f-a165-70867728950e", nurse, g.clock.Now().UnixMicro())
	token, err := session.ParseToken(cookie)
	if err != nil {
		t.Fatal(err)
	}
	g.exec(acacia, `INSERT INTO session_token VALUES ($1, 'acacia', $2, 0, 1, 0, 0, 0, 'pwd')`, token.Digest(harbour), "0f8fad5b-d9cb-469f-a165-70867728950e")
	g.wantError(at(acacia), cookie, session.ErrNone)
	g.wantServed(limits, cookie)
}

// A row that is not what was asked for is an error and an alarm, never somebody
// else's session (T6).
func TestForeignRecordIsAnAlarm(t *testing.T) {
	for name, tamper := range map[string]string{
		"practice of both rows": `UPDATE session_token SET practice = 'acacia'; UPDATE session SET practice = 'acacia'`,
		"public id":             `UPDATE session_token SET session = 'x'; UPDATE session SET id = 'x'`,
		"nobody's":              `UPDATE session SET person = ''`,
		"address":               `UPDATE session SET addr = 'nowhere'`,
		"held level":            `UPDATE session_token SET held = 7`,
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			cookie, l := g.signIn(limits, nurse)
			g.Evict(l)
			for statement := range strings.SplitSeq(tamper, ";") {
				g.exec(harbour, statement)
			}
			g.wantError(limits, cookie, session.ErrUnavailable)
			if n := g.Stats().Mismatches; n != 1 {
				t.Errorf("%d mismatches counted", n)
			}
		})
	}
}

func TestSessionOfAnotherPersonInTheCacheIsAnAlarm(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.exec(harbour, `UPDATE session SET person = $1`, doctor)
	g.feed.deliver(changeOf(l))
	g.wantError(limits, cookie, session.ErrUnavailable)
	if g.Stats().Mismatches == 0 {
		t.Error("not counted")
	}
}

func TestForeignEntryInTheCacheIsAnAlarm(t *testing.T) {
	g := newGate(t)
	token := tokenOf(harbour)
	g.EnterAt(acacia, limits, token, session.Person{ID: nurse}, "")
	g.wantError(at(acacia), token.Reveal(), session.ErrUnavailable)
	if g.Stats().Mismatches != 1 {
		t.Error("not counted")
	}
}

func TestPersonOfAnotherIDIsAnAlarm(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.Evict(l)
	g.people.change(nurse, func(p *session.Person) { p.ID = doctor })
	g.wantError(limits, cookie, session.ErrUnavailable)
	if g.Stats().Mismatches != 1 {
		t.Error("not counted")
	}
}

func TestPracticeWithoutLimitsServesNobodyAndLogsNobodyOut(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	for name, edit := range map[string]func(*session.Practice){
		"zero":        func(p *session.Practice) { *p = session.Practice{} },
		"no id":       func(p *session.Practice) { p.ID = "" },
		"no idle":     func(p *session.Practice) { p.Idle = 0 },
		"no absolute": func(p *session.Practice) { p.Absolute = 0 },
		"negative":    func(p *session.Practice) { p.Idle = -time.Hour },
	} {
		p := limits
		edit(&p)
		if _, err := g.lookup(p, cookie); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := g.Create(t.Context(), p, passwordOf(nurse, g.clock.Now())); err == nil {
			t.Errorf("%s: a session was made", name)
		}
	}
	g.wantServed(limits, cookie)
}

func TestUnknownPracticeIsUnavailable(t *testing.T) {
	g := newGate(t)
	g.wantError(at("nowhere"), tokenOf("nowhere").Reveal(), session.ErrUnavailable)
}

func TestSessionsOfOnePersonShareOneSnapshot(t *testing.T) {
	g := newGate(t)
	for range 5 {
		_, l := g.signIn(limits, nurse)
		g.Evict(l)
	}
	asked := g.people.asked.Load()
	var cookies []string
	for range 5 {
		cookie, l := g.signIn(limits, nurse)
		g.Evict(l)
		cookies = append(cookies, cookie)
	}
	first := g.wantServed(limits, cookies[0])
	for _, cookie := range cookies[1:] {
		if l := g.wantServed(limits, cookie); &l.Subject().Roles[0] != &first.Subject().Roles[0] {
			t.Error("roles are held twice")
		}
	}
	if n := g.people.asked.Load() - asked; n != 5+1 {
		t.Errorf("%d readings of the person: 5 sign-ins and one load expected", n)
	}
}

func TestCacheIsBoundedAndEvictionLosesNothing(t *testing.T) {
	g := newGate(t, maxCached(256)) // one in each shard
	var cookies []string
	for range 600 {
		cookie, _ := g.signIn(limits, nurse)
		cookies = append(cookies, cookie)
	}
	if n := g.Stats().Cached; n > 256 {
		t.Errorf("%d cached, bound 256", n)
	}
	for _, cookie := range cookies {
		g.wantServed(limits, cookie)
	}
	if s := g.Stats(); s.Cached > 256 || s.Evicted < 300 {
		t.Errorf("stats: %+v", s)
	}
	g.consistent(harbour)
}

func TestPreparedIsForgottenWithItsSubject(t *testing.T) {
	type headers struct{ value string }
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	old := l.View()
	session.Prepare(old, &headers{"reception"})
	if got := session.Prepared[headers](l.View()); got == nil || got.value != "reception" {
		t.Fatalf("Prepared = %v", got)
	}
	if got := session.Prepared[string](l.View()); got != nil {
		t.Errorf("another type was returned: %v", got)
	}
	g.people.change(nurse, func(p *session.Person) { p.Roles = []string{"billing"} })
	g.feed.deliver(personChange(nurse))
	l = g.wantServed(limits, cookie)
	session.Prepare(old, &headers{"late"}) // a request that was slower than the change
	if got := session.Prepared[headers](l.View()); got != nil {
		t.Errorf("prepared for the old roles: %v", got)
	}
	if roles := l.Subject().Roles; len(roles) != 1 || roles[0] != "billing" || l.View().Person().Roles[0] != "billing" {
		t.Errorf("roles %v", roles)
	}
	if n := testing.AllocsPerRun(100, func() { _ = session.Prepared[headers](l.View()) }); n > 0 {
		t.Errorf("Prepared allocates: %v", n)
	}
}

func TestUnchangedPersonKeepsWhatWasPrepared(t *testing.T) {
	type headers struct{}
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	session.Prepare(l.View(), &headers{})
	g.feed.deliver(personChange(nurse))
	if session.Prepared[headers](g.wantServed(limits, cookie).View()) == nil {
		t.Error("it was made anew for nothing")
	}
}
