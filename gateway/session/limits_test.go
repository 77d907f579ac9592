package session_test

import (
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

func TestIdleSessionIsOver(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	for range 4 { // used now and then: an hour is no limit
		g.clock.Advance(limits.Idle - time.Second)
		g.wantServed(limits, cookie).Touch(g.clock.Now())
	}
	g.clock.Advance(limits.Idle - time.Microsecond)
	g.wantServed(limits, cookie) // looked up, not touched
	g.clock.Advance(time.Microsecond)
	g.wantError(limits, cookie, session.ErrNone)
	g.Evict(l)
	g.wantError(limits, cookie, session.ErrNone)
}

// What memory takes for idle may have been seen by another node.
func TestIdleIsAskedOfSQLFirst(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	other := g.again()
	g.clock.Advance(limits.Idle - time.Minute)
	other.wantServed(limits, cookie).Touch(g.clock.Now())
	if err := other.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(2 * time.Minute)
	reads := g.store.reads.Load()
	l := g.wantServed(limits, cookie)
	if g.store.reads.Load() != reads+1 {
		t.Error("SQL was not asked")
	}
	if got, want := l.Record().LastSeen, g.clock.Now().Add(-2*time.Minute); !got.Equal(want) {
		t.Errorf("last seen %v, want %v", got, want)
	}
	g.wantServed(limits, cookie)
	if g.store.reads.Load() != reads+1 {
		t.Error("SQL was asked twice")
	}
}

// What this node has seen counts also while SQL does not know it yet.
func TestIdleCountsFromTheLaterOfMemoryAndSQL(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	g.clock.Advance(limits.Idle - time.Minute)
	l.Touch(g.clock.Now())
	g.clock.Advance(2 * time.Minute)
	g.feed.deliver(changeOf(l)) // so that SQL is asked
	g.wantServed(limits, cookie)
	g.catchUp()
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.wantServed(limits, cookie)
}

// A session that comes back late is written at once, not at the next batch, so
// that the other nodes do not call it idle.
func TestReturnAfterAPauseIsWrittenEarly(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	if g.FlushEarly(t.Context()) {
		t.Error("an ordinary touch was written early")
	}
	g.clock.Advance(limits.Idle - time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(limits.Idle - time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	if !g.FlushEarly(t.Context()) {
		t.Fatal("a return after a pause waits for the batch")
	}
	g.clock.Advance(2 * time.Minute)
	g.again().wantServed(limits, cookie)
}

// What could not be written in an outage is written as soon as it is over: another node
// would log out whoever was at work meanwhile.
func TestWhoWasSeenInAnOutageIsWrittenEarly(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	g.store.down.Store(true)
	if err := g.Flush(t.Context()); err == nil {
		t.Fatal("written to a database that is down")
	}
	g.store.down.Store(false)
	if !g.FlushEarly(t.Context()) {
		t.Fatal("it waits for the next batch")
	}
	g.clock.Advance(limits.Idle - 30*time.Second)
	g.again().wantServed(limits, cookie)
}

func TestAbsoluteLimitNeverExtends(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	end := g.clock.Now().Add(limits.Absolute)
	for g.clock.Now().Before(end.Add(-limits.Idle)) {
		g.clock.Advance(limits.Idle / 2)
		g.wantServed(limits, cookie).Touch(g.clock.Now())
	}
	token, raised, err := g.Raise(t.Context(), limits, g.wantServed(limits, cookie), 2, []string{"otp"})
	if err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(end.Sub(g.clock.Now()) - time.Microsecond)
	raised.Touch(g.clock.Now())
	g.wantServed(limits, token.Reveal()).Touch(g.clock.Now())
	g.clock.Advance(time.Microsecond)
	g.wantError(limits, token.Reveal(), session.ErrNone)
	if _, _, err := g.Raise(t.Context(), limits, raised, 2, []string{"otp"}); err != session.ErrNone {
		t.Errorf("Raise: %v, want ErrNone", err)
	}
	l.Touch(g.clock.Now())
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.again().wantError(limits, token.Reveal(), session.ErrNone)
}

// The limits are those of the policy in force, not those of the sign-in.
func TestShorterLimitActsOnLiveSessions(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(10 * time.Minute)
	short := limits
	short.Idle = 5 * time.Minute
	g.wantServed(limits, cookie)
	g.wantError(short, cookie, session.ErrNone)
	short = limits
	short.Absolute = 10 * time.Minute
	g.wantError(short, cookie, session.ErrNone)
}

func TestLastSeenIsWrittenInBatches(t *testing.T) {
	g := newGate(t)
	var cookies []string
	const many = 2*session.FlushChunk + 3
	for range many {
		cookie, _ := g.signIn(limits, nurse)
		cookies = append(cookies, cookie)
	}
	g.clock.Advance(time.Minute)
	for range 3 {
		for _, cookie := range cookies {
			g.wantServed(limits, cookie).Touch(g.clock.Now())
		}
	}
	writes := g.store.writes.Load()
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := g.store.writes.Load() - writes; n != 3 {
		t.Errorf("%d transactions for %d sessions", n, many)
	}
	if n := g.count(harbour, `SELECT count(*) FROM session WHERE last_seen = $1`, g.clock.Now().UnixMicro()); n != many {
		t.Errorf("%d of %d written", n, many)
	}
	writes = g.store.writes.Load()
	if err := g.Flush(t.Context()); err != nil || g.store.writes.Load() != writes {
		t.Errorf("a second flush wrote again: %v", err)
	}
}

func TestFlushNeverTurnsTimeBack(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	later := g.clock.Now().Add(time.Minute).UnixMicro()
	g.exec(harbour, `UPDATE session SET last_seen = $1`, later)
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := g.count(harbour, `SELECT last_seen FROM session`); n != later {
		t.Errorf("last seen is %d, want %d", n, later)
	}
	if n := g.Stats().Revoked; n != 0 {
		t.Error("the session was taken for revoked")
	}
}

func TestFlushThatFailsIsDoneLater(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(time.Minute)
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	g.store.down.Store(true)
	if err := g.Flush(t.Context()); err == nil {
		t.Fatal("no error")
	}
	g.store.down.Store(false)
	g.wantServed(limits, cookie)
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := g.count(harbour, `SELECT last_seen FROM session`); n != g.clock.Now().UnixMicro() {
		t.Error("it was lost")
	}
}

// A long outage does not pile up work: each session waits once.
func TestFlushDuringALongOutageIsBounded(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	g.store.down.Store(true)
	for range 4 * session.FlushChunk {
		g.clock.Advance(time.Second)
		g.wantServed(limits, cookie).Touch(g.clock.Now())
		_ = g.Flush(t.Context())
	}
	g.store.down.Store(false)
	writes := g.store.writes.Load()
	if err := g.Flush(t.Context()); err != nil || g.store.writes.Load() != writes+1 {
		t.Errorf("%d transactions, %v", g.store.writes.Load()-writes, err)
	}
}

// An UPDATE that finds no row says that the session was revoked, even if nobody
// published it (a process that died between the two).
func TestFlushFindsWhatWasRevoked(t *testing.T) {
	g := newGate(t)
	cookie, l := g.signIn(limits, nurse)
	kept, _ := g.signIn(limits, nurse)
	cut := make(chan struct{})
	g.Streams().Register(l.StreamKey(limits), func() { close(cut) })
	g.exec(harbour, `DELETE FROM session_token WHERE session = $1`, l.ID().String())
	g.exec(harbour, `DELETE FROM session WHERE id = $1`, l.ID().String())
	_, evicted := g.signIn(limits, nurse)
	g.Evict(evicted)
	g.exec(harbour, `DELETE FROM session WHERE id = $1`, evicted.ID().String())
	g.clock.Advance(time.Minute)
	evicted.Touch(g.clock.Now())
	g.wantServed(limits, cookie).Touch(g.clock.Now())
	g.wantServed(limits, kept).Touch(g.clock.Now())
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-cut
	if !l.Ended() || !evicted.Ended() {
		t.Error("not marked as ended")
	}
	g.wantError(limits, cookie, session.ErrNone)
	g.wantServed(limits, kept)
}

func TestSweepDeletesWhatIsOverAndNothingElse(t *testing.T) {
	g := newGate(t)
	const many = session.SweepChunk + 50
	g.exec(harbour, `WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 550)
		INSERT INTO session SELECT 'harbour', CAST(10000000 + v AS TEXT) || '-0000-4000-8000-000000000000', 'x', 1, 1, '', '' FROM n`)
	if n := g.count(harbour, `SELECT count(*) FROM session`); n != many {
		t.Fatalf("%d rows", n)
	}
	cookie, l := g.signIn(limits, nurse)
	idle, idleLive := g.signIn(limits, nurse)
	token, _, err := g.Raise(t.Context(), limits, l, 2, []string{"otp"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Flows().Begin(t.Context(), harbour, flowOf(nurse, g.clock.Now())); err != nil {
		t.Fatal(err)
	}
	cut := make(chan struct{})
	g.Streams().Register(idleLive.StreamKey(limits), func() { close(cut) })
	g.clock.Advance(limits.Idle)
	g.exec(harbour, `UPDATE session SET last_seen = $1 WHERE id = $2`, g.clock.Now().UnixMicro(), l.ID().String())
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The idle one has another node's 30 s left in SQL; it is over for requests.
	g.wantError(limits, idle, session.ErrNone)
	if n := g.count(harbour, `SELECT count(*) FROM session`); n != 2 {
		t.Errorf("%d sessions left, want 2", n)
	}
	g.clock.Advance(time.Minute)
	g.wantServed(limits, token.Reveal())
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-cut
	for query, want := range map[string]int64{
		`SELECT count(*) FROM session`: 1, `SELECT count(*) FROM session_token`: 1, `SELECT count(*) FROM flow`: 0,
	} {
		if n := g.count(harbour, query); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
	g.wantServed(limits, token.Reveal())
	g.wantError(limits, cookie, session.ErrNone)
	if n := g.Stats().Cached; n != 1 {
		t.Errorf("%d tokens in memory, want 1", n)
	}
}

// Memory gives back what nobody asks for any more.
func TestSweepClearsMemory(t *testing.T) {
	g := newGate(t)
	_, l := g.signIn(limits, doctor)
	g.raise(l)
	g.clock.Advance(11 * time.Second)
	if err := g.Sweep(t.Context()); err != nil || g.Stats().Cached != 1 {
		t.Errorf("%d tokens, %v; the replaced one is dead", g.Stats().Cached, err)
	}
	g.clock.Advance(limits.Idle + time.Minute)
	g.exec(harbour, `DELETE FROM session`) // another node has swept
	if err := g.Sweep(t.Context()); err != nil || g.Stats().Cached != 0 {
		t.Errorf("%d tokens, %v", g.Stats().Cached, err)
	}
	g.consistent(harbour)
}

// A policy that makes the limits longer must not have sessions deleted by the
// shorter ones that this node still remembers.
func TestSweepGoesByThePolicyInForce(t *testing.T) {
	longer := limits
	longer.Idle = time.Hour
	g := newGate(t, func(o *session.Options) {
		o.Practices = func() []session.Practice { return []session.Practice{longer} }
	})
	cookie, _ := g.signIn(limits, nurse)
	g.clock.Advance(30 * time.Minute)
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.wantServed(longer, cookie)
}

// Without a list of practices the limits are those of the last look-up, a hit too.
func TestSweepGoesByTheLastLookup(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	longer := limits
	longer.Idle = time.Hour
	g.wantServed(longer, cookie)
	g.clock.Advance(30 * time.Minute)
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.wantServed(longer, cookie)

	// A policy that changed and was not used since is not known: nothing is deleted.
	for _, kind := range []bus.Kind{bus.KindPolicy, bus.KindPractice} {
		g.wantServed(longer, cookie).Touch(g.clock.Now())
		g.wantServed(limits, cookie)
		g.feed.deliver(bus.Change{Practice: harbour, Kind: kind})
		g.clock.Advance(30 * time.Minute)
		if err := g.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.wantServed(longer, cookie)
	}
}

func TestSweepVisitsEveryPracticeWithinARound(t *testing.T) {
	all := []session.Practice{limits, at(acacia)}
	for _, id := range []policy.PracticeID{"p-1", "p-2", "p-3", "p-4", "p-5"} {
		all = append(all, at(id))
	}
	g := newGate(t, func(o *session.Options) { o.Practices = func() []session.Practice { return all } })
	for _, p := range all {
		if err := g.db.Create(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		g.exec(p.ID, `INSERT INTO session VALUES ($1, '0f8fad5b-d9cb-469f-a165-70867728950e', 'x', 1, 1, '', '')`, string(p.ID))
	}
	for range 60 {
		if err := g.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range all {
		if n := g.count(p.ID, `SELECT count(*) FROM session`); n != 0 {
			t.Errorf("%s was never swept", p.ID)
		}
	}
}
