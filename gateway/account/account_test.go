package account_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"clinicgate/gateway/account"
	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

func TestMain(m *testing.M) {
	hashing.Main()
	goleak.VerifyTestMain(m)
}

// tiny is the cheapest hash there is; only its cost differs from the real one.
var tiny = account.HashParams{MemoryKiB: 64, Passes: 1, Lanes: 1}

const (
	harbour  = policy.PracticeID("harbour")
	acacia   = policy.PracticeID("acacia")
	goodPass = "wharf lantern oboe tundra"
)

// clock is a fake time that moves only when told to.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2030, 3, 4, 8, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// kit is a service over real databases with two practices.
type kit struct {
	*account.Service
	t     *testing.T
	clock *clock
	opts  account.Options

	mu      sync.Mutex
	changes []string // "practice/person" as the hook heard them
}

func newKit(t *testing.T, change ...func(*account.Options)) *kit {
	t.Helper()
	k := &kit{t: t, clock: newClock()}
	ctx := t.Context()
	db, err := databasetest.Open(t, database.Options{Dir: t.TempDir(), Now: k.clock.Now})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	for _, id := range []policy.PracticeID{harbour, acacia} {
		must(t, db.Create(ctx, id))
	}
	keyFile := filepath.Join(t.TempDir(), "master.key")
	must(t, vault.CreateMasterKey(keyFile))
	v, err := vault.Open(ctx, keyFile, db.Registry(), k.clock.Now)
	must(t, err)
	k.opts = account.Options{DB: db, Vault: v, Now: k.clock.Now, Hash: tiny, Changed: k.heard}
	for _, c := range change {
		c(&k.opts)
	}
	k.Service = account.New(k.opts)
	return k
}

// again is another service over the same databases: another node.
func (k *kit) again(change func(*account.Options)) *account.Service {
	o := k.opts
	change(&o)
	return account.New(o)
}

func (k *kit) heard(_ context.Context, id policy.PracticeID, person string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes = append(k.changes, string(id)+"/"+person)
	return nil
}

// takeChanges returns what the hook heard and forgets it.
func (k *kit) takeChanges() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.changes
	k.changes = nil
	return c
}

// add makes a person of harbour with goodPass.
func (k *kit) add(email string, roles ...string) account.Person {
	k.t.Helper()
	p, err := k.Add(k.t.Context(), harbour, account.NewPerson{
		Email: email, Name: "Somebody", Roles: roles, Password: vault.NewSecret(goodPass),
	})
	must(k.t, err)
	return p
}

// exec runs a statement on harbour's database, as somebody with the file could.
func (k *kit) exec(query string, args ...any) {
	k.t.Helper()
	must(k.t, k.opts.DB.Practice(harbour).Write(k.t.Context(), func(tx *database.Tx) error {
		n, err := tx.Exec(k.t.Context(), query, args...)
		if err == nil && n == 0 {
			return errors.New("no row was changed: " + query)
		}
		return err
	}))
}

// text reads one value from harbour's database.
func (k *kit) text(query string, args ...any) (s string) {
	k.t.Helper()
	must(k.t, k.opts.DB.Practice(harbour).Read(k.t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(k.t.Context(), query, args...).Scan(&s)
	}))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls until something that another goroutine does has happened.
func waitFor(t *testing.T, happened func() bool) {
	t.Helper()
	for !happened() {
		if t.Context().Err() != nil {
			t.Fatal("it never happened")
		}
		runtime.Gosched()
	}
}

// wantErr checks for a sentinel.
func wantErr(t *testing.T, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", doing, got, want)
	}
}
