package certstore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/certstore"
	"clinicgate/gateway/database"
)

// TestOneOfManyHoldsTheLock: four nodes with clocks hours apart, each with several goroutines, one lock.
func TestOneOfManyHoldsTheLock(t *testing.T) {
	i := install(t)
	var inside, entered atomic.Int64
	var all sync.WaitGroup
	for _, ahead := range []time.Duration{0, 2 * time.Minute, -2 * time.Hour, 24 * time.Hour} {
		n := i.start(t, quick, ahead)
		for range 3 {
			all.Go(func() {
				if err := n.Lock(t.Context(), "issue_cert_a.test"); err != nil {
					t.Error(err)
					return
				}
				if got := inside.Add(1); got != 1 {
					t.Errorf("%d hold the lock", got)
				}
				entered.Add(1)
				inside.Add(-1)
				if err := n.Unlock(t.Context(), "issue_cert_a.test"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if got := entered.Load(); got != 12 {
		t.Errorf("%d of 12 got the lock", got)
	}
}

// TestDeadNodesLockEndsAndALivingOnesDoesNot: whoever waits learns it by watching.
func TestDeadNodesLockEndsAndALivingOnesDoesNot(t *testing.T) {
	i := install(t)
	dead, alive := i.start(t, quick, 0), i.start(t, quick, 10*time.Minute)
	waiter := i.start(t, certstore.Pace{Beat: quick.Beat, Look: quick.Look, Dead: 1500 * time.Millisecond}, -time.Hour)
	for n, name := range map[*node]string{dead: "of the dead", alive: "of the living"} {
		if err := n.Lock(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	dead.Die()
	begin := time.Now()
	if err := waiter.Lock(t.Context(), "of the dead"); err != nil {
		t.Fatal(err)
	}
	if got := time.Since(begin); got < 1500*time.Millisecond {
		t.Errorf("it was taken after %s, before its owner could be known to be dead", got)
	}
	if err := waiter.Unlock(t.Context(), "of the dead"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if err := waiter.Lock(ctx, "of the living"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the lock of a living node: %v", err)
	}
	if err := alive.Unlock(t.Context(), "of the living"); err != nil {
		t.Error(err)
	}
}

// TestOneWaiterInheritsFromTheDead: of many that have seen the same, and none when the owner has moved since.
func TestOneWaiterInheritsFromTheDead(t *testing.T) {
	i := install(t)
	a, b := i.start(t, quick, 0), i.start(t, quick, 0)
	for _, c := range []struct {
		what  string
		n     *node
		me    string
		owner string
		beat  int64
		want  bool
	}{
		{"a free lock", a, "a", "", 0, true},
		{"a lock that was free", b, "b", "", 0, false},
		{"a lock that has beaten since", b, "b", "a", 7, false},
		{"a dead owner's", b, "b", "a", 0, true},
		{"the same dead owner's, after another waiter", a, "c", "a", 0, false},
		{"its heir's", a, "c", "b", 0, true},
	} {
		got, err := c.n.Take(t.Context(), "x", c.me, c.owner, c.beat)
		if err != nil || got != c.want {
			t.Errorf("%s is taken: %v, %v, want %v", c.what, got, err, c.want)
		}
	}
}

// TestLostLockIsNotGivenBackForItsNewOwner: a node that stood still does not end the lock of the one that took over.
func TestLostLockIsNotGivenBackForItsNewOwner(t *testing.T) {
	i := install(t)
	n := i.start(t, quick, 0)
	if err := n.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	n.rows(t, `UPDATE certificate_lock SET owner = 'another', beat = 7 WHERE name = 'a'`, 1)
	if err := n.Unlock(t.Context(), "a"); !errors.Is(err, certstore.ErrLost) {
		t.Errorf("giving back a lost lock: %v", err)
	}
	n.rows(t, `UPDATE certificate_lock SET beat = 8 WHERE name = 'a' AND owner = 'another'`, 1)
	if err := n.Unlock(t.Context(), "a"); err == nil {
		t.Error("a lock that nobody holds was given back")
	}
}

// TestNodeThatEndsGivesItsLocksBack: the others need not wait until it is known to be dead.
func TestNodeThatEndsGivesItsLocksBack(t *testing.T) {
	i := install(t)
	ends, stays := i.start(t, quick, 0), i.start(t, certstore.Pace{Beat: time.Hour, Look: time.Millisecond, Dead: time.Hour}, 0)
	if err := ends.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := ends.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stays.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := ends.Lock(t.Context(), "b"); err == nil {
		t.Error("a store that is closed takes locks")
	}
}

// TestWaitingEndsWithItsContext.
func TestWaitingEndsWithItsContext(t *testing.T) {
	n := install(t).start(t, quick, 0)
	if err := n.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// rows runs a statement that must change that many rows.
func (n *node) rows(t *testing.T, query string, want int64) {
	t.Helper()
	var got int64
	err := n.set.Registry().Write(t.Context(), func(tx *database.Tx) (err error) {
		got, err = tx.Exec(t.Context(), query)
		return err
	})
	if err != nil || got != want {
		t.Errorf("%s: %d rows, %v, want %d", query, got, err, want)
	}
}
