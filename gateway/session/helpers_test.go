package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

const (
	harbour = policy.PracticeID("harbour")
	acacia  = policy.PracticeID("acacia")
	nurse   = "11111111-1111-4111-8111-111111111111"
	doctor  = "22222222-2222-4222-8222-222222222222"
)

// limits are harbour's: DESIGN section 5's defaults.
var limits = session.Practice{ID: harbour, Idle: 15 * time.Minute, Absolute: 12 * time.Hour, OutageGrace: 5 * time.Minute}

func at(id policy.PracticeID) session.Practice { p := limits; p.ID = id; return p }

// clock is the time of a test. It moves only when told.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.micros.Store(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// feed is a change feed without a registry: it delivers at once, and is as fresh
// as the test says.
type feed struct {
	clock *clock
	stale atomic.Int64 // LastOK, microseconds; 0: now
	fails atomic.Bool

	mu       sync.Mutex
	handlers []func(bus.Change)
	sent     []bus.Change
}

func (f *feed) LastOK() time.Time {
	if at := f.stale.Load(); at != 0 {
		return time.UnixMicro(at)
	}
	return f.clock.Now()
}

func (f *feed) stop() { f.stale.Store(f.clock.micros.Load()) }

func (f *feed) Subscribe(h func(bus.Change)) { f.handlers = append(f.handlers, h) }

var errFeed = errors.New("the feed is down")

func (f *feed) Publish(_ context.Context, c bus.Change) error {
	if f.fails.Load() {
		return errFeed
	}
	f.mu.Lock()
	f.sent = append(f.sent, c)
	f.mu.Unlock()
	f.deliver(c)
	return nil
}

func (f *feed) deliver(c bus.Change) {
	for _, h := range f.handlers {
		h(c)
	}
}

func (f *feed) published() []bus.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// people is a PersonSource in memory.
type people struct {
	mu    sync.Mutex
	known map[string]session.Person
	fail  error
	asked atomic.Int64
	pause func() // called outside the lock after the person was read
}

func newPeople() *people {
	return &people{known: map[string]session.Person{
		nurse:  {ID: nurse, Email: "nurse@harbour.test", Name: "Nurse", Roles: []string{"reception"}},
		doctor: {ID: doctor, Email: "clinician@harbour.test", Name: "Clinician", Roles: []string{"clinician", "billing"}, HasSecondFactor: true},
	}}
}

func (p *people) Person(_ context.Context, _ policy.PracticeID, id string) (session.Person, error) {
	p.asked.Add(1)
	p.mu.Lock()
	found, ok := p.known[id]
	err, pause := p.fail, p.pause
	p.mu.Unlock()
	if pause != nil {
		pause()
	}
	switch {
	case err != nil:
		return session.Person{}, err
	case !ok:
		return session.Person{}, session.ErrNoPerson
	}
	return found, nil
}

func (p *people) change(id string, edit func(*session.Person)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.known[id]
	edit(&next)
	p.known[id] = next
}

func (p *people) set(edit func(*people)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	edit(p)
}

// store counts transactions and fails when told.
type store struct {
	session.Store
	reads, writes atomic.Int64
	down          atomic.Bool
	before        atomic.Pointer[func(write bool)]
}

var errDisk = errors.New("disk I/O error")

func (s *store) Read(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error {
	s.reads.Add(1)
	return s.run(ctx, false, func() error { return s.Store.Read(ctx, p, fn) })
}

func (s *store) Write(ctx context.Context, p policy.PracticeID, fn func(*database.Tx) error) error {
	s.writes.Add(1)
	return s.run(ctx, true, func() error { return s.Store.Write(ctx, p, fn) })
}

func (s *store) run(_ context.Context, write bool, fn func() error) error {
	if hook := s.before.Load(); hook != nil {
		(*hook)(write)
	}
	if s.down.Load() {
		return errDisk
	}
	return fn()
}

// gate is a whole node in a test.
type gate struct {
	*session.Manager
	t      testing.TB
	db     *database.Set
	dir    string
	clock  *clock
	feed   *feed
	people *people
	store  *store
}

// newGate opens a node with two practices on a folder of its own.
func newGate(t testing.TB, options ...func(*session.Options)) *gate {
	t.Helper()
	g := &gate{t: t, dir: t.TempDir(), clock: newClock(), people: newPeople()}
	g.open(options...)
	for _, id := range []policy.PracticeID{harbour, acacia} {
		if err := g.db.Create(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// again opens a second node on the same folder: another process.
func (g *gate) again(options ...func(*session.Options)) *gate {
	g.t.Helper()
	other := &gate{t: g.t, dir: g.dir, clock: g.clock, people: g.people}
	other.open(options...)
	return other
}

func (g *gate) open(options ...func(*session.Options)) {
	g.t.Helper()
	db, err := databasetest.Open(g.t, database.Options{Dir: g.dir, Now: g.clock.Now})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = db.Close() })
	g.db, g.feed = db, &feed{clock: g.clock}
	o := session.Options{DB: db, Feed: g.feed, People: g.people, Keys: keys, Now: g.clock.Now}
	for _, option := range options {
		option(&o)
	}
	g.Manager = session.New(o)
	g.WrapStore(func(s session.Store) session.Store { g.store = &store{Store: s}; return g.store })
}

// keyOf is the key of a practice's tokens.
func keyOf(p policy.PracticeID) []byte {
	key := sha256.Sum256([]byte(p))
	return key[:]
}

func keys(_ context.Context, p policy.PracticeID) ([]byte, error) { return keyOf(p), nil }

func tokenOf(p policy.PracticeID) session.Token { return session.MakeToken(keyOf(p)) }

func flowTokenOf(p policy.PracticeID) session.FlowToken { return session.MakeFlowToken(keyOf(p)) }

func maxCached(n int) func(*session.Options) { return func(o *session.Options) { o.MaxCached = n } }

// signIn makes a session by password.
func (g *gate) signIn(p session.Practice, user string) (cookie string, l *session.Live) {
	g.t.Helper()
	token, l, err := g.Create(context.Background(), p, passwordOf(user, g.clock.Now()))
	if err != nil {
		g.t.Fatalf("Create: %v", err)
	}
	return token.Reveal(), l
}

func passwordOf(user string, now time.Time) session.SignIn {
	return session.SignIn{
		User: user, ProvedAt: [4]time.Time{policy.AAL1: now}, AMR: []string{"pwd"},
		Agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
		Addr:  netip.MustParseAddr("192.0.2.7"),
	}
}

func (g *gate) lookup(p session.Practice, cookie string) (*session.Live, error) {
	return g.Lookup(context.Background(), p, cookie)
}

// wantServed and wantError say what a look-up answers.
func (g *gate) wantServed(p session.Practice, cookie string) *session.Live {
	g.t.Helper()
	l, err := g.lookup(p, cookie)
	if err != nil {
		g.t.Fatalf("Lookup: %v, want a session", err)
	}
	return l
}

func (g *gate) wantError(p session.Practice, cookie string, want error) {
	g.t.Helper()
	l, err := g.lookup(p, cookie)
	if l != nil || !errors.Is(err, want) {
		g.t.Fatalf("Lookup: %v, %v; want %v", l, err, want)
	}
	if errors.Is(err, session.ErrNone) && errors.Is(err, session.ErrUnavailable) {
		g.t.Fatalf("Lookup: %v says both none and unavailable", err)
	}
}

func (g *gate) catchUp() { g.CatchUp(context.Background()) }

// exec changes a practice's database behind the gateway's back.
func (g *gate) exec(p policy.PracticeID, query string, args ...any) int64 {
	g.t.Helper()
	var n int64
	err := g.db.Practice(p).Write(context.Background(), func(tx *database.Tx) (err error) {
		n, err = tx.Exec(context.Background(), query, args...)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// count asks a practice's database for a number.
func (g *gate) count(p policy.PracticeID, query string, args ...any) (n int64) {
	g.t.Helper()
	err := g.db.Practice(p).Read(context.Background(), func(tx *database.Tx) error {
		return tx.QueryRow(context.Background(), query, args...).Scan(&n)
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// eventually waits for something that happens on another goroutine.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// consistent checks that the indexes agree with each other.
func (g *gate) consistent(p policy.PracticeID) {
	g.t.Helper()
	tokens, sessions, owners, indexed := g.Cached(p)
	if tokens < sessions || indexed != sessions || owners > sessions {
		g.t.Fatalf("indexes disagree: %d tokens, %d sessions, %d owners with %d sessions", tokens, sessions, owners, indexed)
	}
}

func changeOf(l *session.Live) bus.Change {
	return bus.Change{Practice: l.Practice(), Kind: bus.KindSession, Ref: l.ID().String()}
}

func personChange(id string) bus.Change {
	return bus.Change{Practice: harbour, Kind: bus.KindPerson, Ref: id}
}

func flowOf(user string, now time.Time) session.Flow {
	return session.Flow{User: user, ProvedAt: [4]time.Time{policy.AAL1: now}, AMR: []string{"pwd"}, Return: "/booking/1?x=y"}
}

// node is a gate with the real feed and everything running.
type node struct {
	*session.Manager
	bus  *bus.Feed
	stop func()
}

func newNode(t *testing.T, g *gate) *node {
	t.Helper()
	db, err := databasetest.Open(g.t, database.Options{Dir: g.dir, Now: g.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{bus: bus.New(db.Registry(), g.clock.Now)}
	n.Manager = session.New(session.Options{DB: db, Feed: n.bus, People: g.people, Keys: keys, Now: g.clock.Now})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.bus.Run(ctx) })
	running.Go(func() { _ = n.Run(ctx) })
	n.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		_ = db.Close()
	})
	t.Cleanup(n.stop)
	return n
}

// inFiles looks for text in everything under the state folder, write-ahead logs
// included.
func (g *gate) inFiles(text string) (found bool) {
	g.t.Helper()
	err := filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(text))
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return found
}
