package database_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Nothing that anybody was told is kept is missing in a copy of the frozen state, whoever writes.
func TestFrozenStateChangesNoMoreForAnybody(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, database.Options{Dir: dir})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	other := startChild(t, dir, 1_000_000) // writes until it is refused
	other.read(t, 5)
	var writers sync.WaitGroup
	acked := make([]int64, 4)
	for w := range acked {
		writers.Go(func() {
			for {
				err := put(t, s.Practice("harbour"), int64(w+1)*10_000+acked[w], "mine")
				if err != nil {
					if !errors.Is(err, database.ErrFrozen) || !errors.Is(err, database.ErrUnavailable) {
						t.Errorf("got %v, want ErrFrozen", err)
					}
					return
				}
				acked[w]++
			}
		})
	}
	if err := s.Freeze(t.Context(), database.Frozen{To: "cluster"}); err != nil {
		t.Fatal(err)
	}
	frozen := count(t, s.Practice("harbour")) // reading goes on
	writers.Wait()
	other.read(t, -1)
	want := int64(len(other.acked))
	for _, n := range acked {
		want += n
	}
	if after := count(t, s.Practice("harbour")); after != frozen || frozen < want {
		t.Errorf("got %d rows at the freeze and %d after it, want the same and at least the %d that were acknowledged", frozen, after, want)
	}
}

// Who had begun to write when the state was frozen is waited for.
func TestFreezeWaitsForWhoIsWriting(t *testing.T) {
	dir := t.TempDir()
	s, other := openFiles(t, database.Options{Dir: dir}), openFiles(t, database.Options{Dir: dir})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	frozen := make(chan error, 1)
	err := other.Practice("harbour").Write(t.Context(), func(tx *database.Tx) error {
		go func() { frozen <- s.Freeze(t.Context(), database.Frozen{}) }()
		select {
		case err := <-frozen:
			t.Errorf("frozen while somebody writes: %v", err)
			frozen <- err
		case <-time.After(300 * time.Millisecond): // long enough to be wrong
		}
		_, err := tx.Exec(t.Context(), insertNote, 1, "x")
		return err
	})
	if err := errors.Join(err, <-frozen); err != nil {
		t.Fatal(err)
	}
	if got := count(t, s.Practice("harbour")); got != 1 {
		t.Errorf("got %d rows, want the one that was acknowledged", got)
	}
}

func TestFrozenStateIsReadAndThawed(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, database.Options{Dir: dir})
	if err := put2(t, s, "harbour"); err != nil {
		t.Fatal(err)
	}
	if f, err := database.FrozenState(dir); f != nil || err != nil {
		t.Errorf("got %v, %v, want a state that is not frozen", f, err)
	}
	for range 2 {
		if err := s.Freeze(t.Context(), database.Frozen{To: "cluster"}); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := database.FrozenState(dir); err != nil || f == nil || f.To != "cluster" {
		t.Errorf("got %v, %v, want what Freeze was told", f, err)
	}
	late := openFiles(t, database.Options{Dir: dir})
	for name, do := range map[string]func(context.Context, policy.PracticeID) error{
		"create": late.Create, "remove": func(ctx context.Context, _ policy.PracticeID) error { return late.Remove(ctx, "harbour") },
		"write": func(context.Context, policy.PracticeID) error { return put(t, late.Registry(), 9, "x") },
	} {
		if err := do(t.Context(), "wattle"); !errors.Is(err, database.ErrFrozen) {
			t.Errorf("%s: got %v, want ErrFrozen", name, err)
		}
	}
	if got := count(t, late.Practice("harbour")); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := put(t, late.Practice("harbour"), 9, "x"); err != nil {
		t.Error(err)
	}
}
