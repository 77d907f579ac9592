package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"clinicgate/gateway/core"
	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
)

// twoNodes are two nodes on one registry, of the kind of database that is tested.
func twoNodes(t *testing.T) (a, b *core.Core) {
	t.Helper()
	o := options(t, "{}")
	o.Postgres = databasetest.Options(t, database.Options{Dir: o.State}).Postgres
	return open(t, o), open(t, o)
}

// pass lets the time of a lease be over.
func pass(t *testing.T, c *core.Core) {
	t.Helper()
	err := c.DB.Registry().Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE lease SET expires = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func nothing(context.Context) error { return nil }

func TestOneNodeAtATimeDoesAJob(t *testing.T) {
	first, second := twoNodes(t)
	a, b := core.NewLeases(first), core.NewLeases(second)
	tryB := func() bool {
		t.Helper()
		ran, err := b.Once(t.Context(), "job", time.Hour, nothing)
		if err != nil {
			t.Error(err)
		}
		return ran
	}
	ran, err := a.Once(t.Context(), "job", time.Hour, func(context.Context) error {
		if tryB() {
			t.Error("two nodes do the job at once")
		}
		if other, err := b.Once(t.Context(), "other", time.Hour, nothing); err != nil || !other {
			t.Errorf("another job: %v, %v, want it done", other, err)
		}
		return errors.New("not done")
	})
	if !ran || err == nil {
		t.Errorf("got %v, %v, want the job done with its error", ran, err)
	}
	if !tryB() {
		t.Error("what one node failed to do, the other does not do")
	}
	if tryB() {
		t.Error("what was done is done again before its time")
	}
}

func TestNodeTakesOverFromOneThatIsGone(t *testing.T) {
	first, second := twoNodes(t)
	a, b := core.NewLeases(first), core.NewLeases(second)
	if held, err := a.Vanish(t.Context(), "job"); err != nil || !held {
		t.Fatal(held, err)
	}
	if ran, err := b.Once(t.Context(), "job", time.Hour, nothing); err != nil || ran {
		t.Errorf("got %v, %v while the lease lasts, want it left alone", ran, err)
	}
	pass(t, first)
	if ran, err := b.Once(t.Context(), "job", time.Hour, nothing); err != nil || !ran {
		t.Errorf("got %v, %v, want it taken over", ran, err)
	}
}

func TestNodeThatLostItsLeaseStops(t *testing.T) {
	first, second := twoNodes(t)
	a, b := core.NewLeases(first), core.NewLeases(second)
	ran, err := a.Once(t.Context(), "job", time.Hour, func(ctx context.Context) error {
		pass(t, first)
		if held, err := b.Vanish(t.Context(), "job"); err != nil {
			t.Error(held, err)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !ran || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want the job stopped", ran, err)
	}
}

func TestNodeThatClosesGivesItsLeaseBack(t *testing.T) {
	first, second := twoNodes(t)
	a, b := core.NewLeases(first), core.NewLeases(second)
	closing, cancel := context.WithCancel(t.Context())
	_, err := a.Once(closing, "job", time.Hour, func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if ran, err := b.Once(t.Context(), "job", time.Hour, nothing); err != nil || !ran {
		t.Errorf("got %v, %v, want it done", ran, err)
	}
}
