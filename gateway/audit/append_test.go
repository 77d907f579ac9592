package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestAppendKeepsTheEventAsItWas(t *testing.T) {
	b := newBench(t)
	e := event("password_accepted")
	b.append(e)
	got := b.tail(1)[0]
	if diff := cmp.Diff(e, got.Event); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if got.Seq != 1 || got.Practice != harbour || !got.At.Equal(b.clock.now()) || got.Hash != got.Sum() {
		t.Errorf("record = %+v", got)
	}
}

func TestAppendInParallelLosesAndMixesNothing(t *testing.T) {
	b := newBench(t)
	const n = 500
	var all sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		all.Go(func() {
			e := event("password_accepted")
			e.Request = fmt.Sprint("req-", i)
			errs <- b.log.Append(t.Context(), harbour, e)
		})
	}
	all.Wait()
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	for _, r := range b.tail(audit.MaxTail) {
		seen[r.Request] = true
	}
	if len(seen) != n || b.log.Stats().Appended != n {
		t.Fatalf("%d different events, %d counted; want %d", len(seen), b.log.Stats().Appended, n)
	}
	b.wantIntact(n)
}

// countingKeys counts transactions: each asks for the key once.
type countingKeys struct {
	audit.Keys
	mu    sync.Mutex
	calls int
	gate  chan struct{} // closed = open
	once  sync.Once
}

func (k *countingKeys) CheckpointKey(ctx context.Context, id policy.PracticeID) (note.Signer, note.Verifier, error) {
	k.mu.Lock()
	k.calls++
	k.mu.Unlock()
	<-k.gate
	return k.Keys.CheckpointKey(ctx, id)
}

func (k *countingKeys) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls
}

// gated makes a bench whose first transaction waits until the gate opens.
func gated(t *testing.T, queue int) (*bench, *countingKeys) {
	b := newBench(t)
	b.close()
	k := &countingKeys{Keys: b.keys, gate: make(chan struct{})}
	b.keys, b.opts.Queue = k, queue
	b.open()
	t.Cleanup(k.open)
	return b, k
}

func (k *countingKeys) open() { k.once.Do(func() { close(k.gate) }) }

// until looks again and again until a condition holds. A minute is for a test that hangs.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for start := time.Now(); !holds(); {
		if time.Since(start) > time.Minute {
			t.Fatal("it never came to that")
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// begun waits until the writer holds one event and works on its transaction.
func (k *countingKeys) begun(t *testing.T) {
	t.Helper()
	until(t, func() bool { return k.count() > 0 })
}

func TestAppendsThatWaitShareATransaction(t *testing.T) {
	b, k := gated(t, 0)
	const n = 100
	errs := make(chan error, n+1)
	go func() { errs <- b.log.Append(t.Context(), harbour, event("first")) }()
	k.begun(t)
	for range n {
		go func() { errs <- b.log.Append(t.Context(), harbour, event("second")) }()
	}
	until(t, func() bool { return audit.Queued(b.log, harbour) == n })
	k.open()
	for range n + 1 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if got := k.count(); got != 2 {
		t.Fatalf("%d transactions for 1 + %d events, want 2", got, n)
	}
	b.wantIntact(n + 1)
}

func TestAppendHonoursItsContext(t *testing.T) {
	b, k := gated(t, 1)
	errs := make(chan error, 1)
	go func() { errs <- b.log.Append(t.Context(), harbour, event("first")) }()
	k.begun(t)

	waits, cancelWaits := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- b.log.Append(waits, harbour, event("taken back")) }()
	until(t, func() bool { return audit.Queued(b.log, harbour) == 1 })
	over, cancelOver := context.WithCancel(t.Context())
	cancelOver()
	if err := b.log.Append(over, harbour, event("queue full")); !errors.Is(err, database.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append on a full queue = %v; want unavailable, cancelled", err)
	}
	cancelWaits()
	if err := <-second; !errors.Is(err, database.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append while waiting = %v; want unavailable, cancelled", err)
	}
	k.open()
	if err := <-errs; err != nil {
		t.Errorf("the first Append: %v", err)
	}
	b.flush()
	if diff := cmp.Diff(map[string]int{"first": 1}, b.counts()); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

func TestAppendRefusesWhatIsNoEvent(t *testing.T) {
	b := newBench(t)
	for _, e := range []audit.Event{{}, {Class: audit.SignIn}, {Class: "signin", Action: "x"}, {Action: "x"}} {
		if err := b.log.Append(t.Context(), harbour, e); !errors.Is(err, audit.ErrEvent) {
			t.Errorf("Append(%+v) = %v, want ErrEvent", e, err)
		}
	}
	for _, class := range audit.Classes() {
		b.append(audit.Event{Class: class, Action: "x"})
	}
	b.wantIntact(int64(len(audit.Classes())))
}

func TestAppendToAnUnknownPracticeIsMissing(t *testing.T) {
	b := newBench(t)
	for _, id := range []policy.PracticeID{"nobody", "", "../registry"} {
		err := b.log.Append(t.Context(), id, event("x"))
		if !errors.Is(err, database.ErrMissing) {
			t.Errorf("Append to %q = %v, want ErrMissing", id, err)
		}
	}
}

func TestAppendAfterCloseIsUnavailable(t *testing.T) {
	b := newBench(t)
	b.add(1)
	if err := b.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := b.log.Append(t.Context(), harbour, event("late"))
	if !errors.Is(err, audit.ErrClosed) || !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("Append after Close = %v", err)
	}
	b.log.Note(harbour, refusal("late", "203.0.113.9"))
	if b.log.Dropped() != 1 {
		t.Errorf("Dropped = %d after a Note on a closed log, want 1", b.log.Dropped())
	}
	if err := b.log.Close(t.Context()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestFailureInTheMiddleOfABatchKeepsNothing: the database refuses the third row of a
// shared transaction. Nobody is told yes, nothing is kept, and the next one is number 1.
func TestFailureInTheMiddleOfABatchKeepsNothing(t *testing.T) {
	b, k := gated(t, 0)
	b.edit(b.file(harbour), `CREATE TRIGGER full BEFORE INSERT ON audit_event WHEN NEW.seq = 3 BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	const n = 10
	errs := make(chan error, n)
	first := make(chan error, 1)
	go func() { first <- b.log.Append(t.Context(), harbour, event("alone")) }()
	k.begun(t)
	for range n {
		go func() { errs <- b.log.Append(t.Context(), harbour, event("together")) }()
	}
	until(t, func() bool { return audit.Queued(b.log, harbour) == n })
	k.open()
	if err := <-first; err != nil {
		t.Errorf("the event that was alone: %v", err)
	}
	for range n {
		if err := <-errs; !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("Append = %v, want unavailable", err)
		}
	}
	if s := b.log.Stats(); s.Appended != 1 || s.Failed != n || !s.LastError.Equal(b.clock.now()) {
		t.Errorf("stats = %+v", s)
	}
	b.wantIntact(1)
	b.edit(b.file(harbour), `DROP TRIGGER full`)
	b.add(4)
	b.wantIntact(5)
}

func TestRegistryDownMeansUnavailable(t *testing.T) {
	b := newBench(t)
	b.add(1)
	b.flush()
	b.edit(b.registry(), `ALTER TABLE audit_head RENAME TO gone`)
	if err := b.log.Append(t.Context(), harbour, event("x")); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("Append = %v, want unavailable", err)
	}
	b.edit(b.registry(), `ALTER TABLE gone RENAME TO audit_head`)
	b.add(1)
	b.wantIntact(2)
}

func TestTwoLogsOnOneDatabaseMakeOneChain(t *testing.T) {
	b := newBench(t)
	other := audit.New(audit.Options{DB: b.set, Vault: b.keys, Now: b.clock.now})
	var both sync.WaitGroup
	for _, l := range []*audit.Log{b.log, other} {
		for range 4 {
			both.Go(func() {
				for range 10 {
					if err := l.Append(t.Context(), harbour, event("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	both.Wait()
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantIntact(80)
}

// TestAppendTxSharesTheFateOfItsTransaction: a change and its record are one.
func TestAppendTxSharesTheFateOfItsTransaction(t *testing.T) {
	b := newBench(t)
	b.add(2)
	boom := errors.New("boom")
	for _, outcome := range []error{nil, boom, nil} {
		var after func()
		err := b.set.Practice(harbour).Write(t.Context(), func(tx *database.Tx) (err error) {
			after, err = b.log.AppendTx(t.Context(), tx, harbour, event("changed"), event("told"))
			return errors.Join(err, outcome)
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
		if outcome == nil {
			after()
		}
		b.add(1)
	}
	if got := b.counts()["changed"]; got != 2 {
		t.Errorf("%d records of changes, want 2", got)
	}
	b.wantIntact(2 + 2 + 1 + 1 + 2 + 1)
	b.flush()
	if copied := b.text(b.registry(), `SELECT note FROM audit_head`); !strings.Contains(copied, "\n9\n") {
		t.Errorf("the registry's copy is not of row 9:\n%s", copied)
	}
}

func TestAppendTxOnAnotherPracticesDatabaseIsRefused(t *testing.T) {
	b := newBench(t)
	b.create("acacia")
	err := b.set.Practice("acacia").Write(t.Context(), func(tx *database.Tx) error {
		_, err := b.log.AppendTx(t.Context(), tx, harbour, event("x"))
		return err
	})
	if !errors.Is(err, audit.ErrForeign) {
		t.Fatalf("AppendTx = %v, want ErrForeign", err)
	}
	if list, err := b.log.Tail(t.Context(), "acacia", 1); err != nil || len(list) != 0 {
		t.Errorf("acacia's log has %v, %v", list, err)
	}
}

func TestAppendTxAfterCloseIsUnavailable(t *testing.T) {
	b := newBench(t)
	if err := b.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := b.set.Practice(harbour).Write(t.Context(), func(tx *database.Tx) error {
		_, err := b.log.AppendTx(t.Context(), tx, harbour, event("x"))
		return err
	})
	if !errors.Is(err, audit.ErrClosed) {
		t.Errorf("AppendTx = %v, want ErrClosed", err)
	}
	if _, err := b.log.Prune(t.Context(), harbour, b.clock.now()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Prune = %v, want ErrClosed", err)
	}
}

// TestPracticesDoNotShareAChain: the same events in two practices have different hashes.
func TestPracticesDoNotShareAChain(t *testing.T) {
	b := newBench(t)
	b.create("acacia")
	b.append(event("x"))
	if err := b.log.Append(t.Context(), "acacia", event("x")); err != nil {
		t.Fatal(err)
	}
	list, err := b.log.Tail(t.Context(), "acacia", 1)
	if err != nil {
		t.Fatal(err)
	}
	here, there := b.tail(1)[0], list[0]
	if here.Hash == there.Hash || here.Prev == there.Prev || there.Seq != 1 {
		t.Errorf("harbour %s after %s, acacia %s after %s", here.Hash, here.Prev, there.Hash, there.Prev)
	}
}

func TestCloseThatMayNotWaitTellsEverybody(t *testing.T) {
	b, k := gated(t, 0)
	errs := make(chan error, 1)
	go func() { errs <- b.log.Append(t.Context(), harbour, event("x")) }()
	k.begun(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan error, 1)
	go func() { closed <- b.log.Close(over) }()
	until(t, func() bool { return errors.Is(b.log.Append(over, harbour, event("x")), audit.ErrClosed) })
	until(t, func() bool { return audit.Cancelled(b.log) })
	k.open()
	if err := <-errs; !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("Append = %v, want unavailable", err)
	}
	if err := <-closed; !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("Close = %v, want unavailable", err)
	}
	if n := len(b.tail(10)); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func TestWritersAndKeeperEndWhenNothingIsToBeDone(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
	b.flush()
	until(t, func() bool { return audit.Idle(b.log) })
}
