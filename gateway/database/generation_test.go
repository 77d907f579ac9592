package database_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/policy"
)

// generationOf is which generation of the practice is open.
func generationOf(t *testing.T, s *database.Set, id policy.PracticeID) (generation int64) {
	t.Helper()
	err := s.Practice(id).Read(t.Context(), func(tx *database.Tx) error {
		var owner policy.PracticeID
		if owner, generation = tx.Practice(); owner != id {
			t.Errorf("a transaction on %s says it is on %q", id, owner)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return generation
}

// What an unfinished removal left is never the next generation's (THREATS T5).
func TestNextGenerationNeverInheritsAFile(t *testing.T) {
	dir := t.TempDir()
	s := openSet(t, database.Options{Dir: dir})
	other := openSet(t, database.Options{Dir: dir})
	for generation := int64(1); generation <= 3; generation++ {
		for range 2 { // the second time it is there
			if err := s.CreateGeneration(t.Context(), "harbour", generation); err != nil {
				t.Fatal(err)
			}
		}
		for _, set := range []*database.Set{s, other} {
			if got := generationOf(t, set, "harbour"); got != generation {
				t.Errorf("got generation %d, want %d", got, generation)
			}
			if got := count(t, set.Practice("harbour")); got != 0 {
				t.Errorf("generation %d begins with %d rows", generation, got)
			}
		}
		if err := put(t, s.Practice("harbour"), 1, "of one generation"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CreateGeneration(t.Context(), "harbour", 2); !errors.Is(err, database.ErrSwapped) {
		t.Errorf("an earlier generation in the place of a later one: got %v, want ErrSwapped", err)
	}
	if got := count(t, s.Practice("harbour")); got != 1 {
		t.Errorf("the later one has %d rows, want 1", got)
	}
	if databasetest.On() {
		return // what was put aside is another database there, and no file
	}
	aside, err := filepath.Glob(filepath.Join(s.Dir(), "removed", "harbour-*.db"))
	if err != nil || len(aside) != 2 {
		t.Errorf("put aside: %v %v, want two", aside, err)
	}
}

// A file that is put back in its place after the id began anew serves nobody.
func TestFileOfAnotherGenerationIsRefused(t *testing.T) {
	s := openSet(t, database.Options{MaxOpen: 1})
	s.SetGuard(func(_ context.Context, id policy.PracticeID, generation int64) error {
		if id == "harbour" && generation != 2 {
			return fmt.Errorf("generation %d: %w", generation, database.ErrSwapped)
		}
		return nil
	})
	if err := errors.Join(s.Create(t.Context(), "harbour"), s.Create(t.Context(), "banksia")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := s.Practice("harbour").Read(t.Context(), func(*database.Tx) error { return nil })
		if !errors.Is(err, database.ErrSwapped) || !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("got %v, want ErrSwapped", err)
		}
	}
	if got := count(t, s.Practice("banksia")); got != 0 || s.OpenCount() != 1 {
		t.Errorf("the other practice: %d rows, %d open", got, s.OpenCount())
	}
	if err := s.CreateGeneration(t.Context(), "harbour", 2); err != nil {
		t.Fatal(err)
	}
	if got := generationOf(t, s, "harbour"); got != 2 {
		t.Errorf("got generation %d, want 2", got)
	}
}

// A process that has the database open, and no connection for what it wants now, must
// not reach the file that another process is about to move.
func TestNoConnectionIsMadeOnceARemovalHasBegun(t *testing.T) {
	s := openFiles(t, database.Options{})
	if err := put2(t, s, "harbour"); err != nil { // one writer, no reader
		t.Fatal(err)
	}
	marker := filepath.Join(s.Dir(), "practices", ".harbour.removing")
	err := s.Practice("harbour").Write(t.Context(), func(*database.Tx) error { // holds the handle
		write(t, marker, nil)
		return s.Practice("harbour").Read(t.Context(), func(*database.Tx) error { return nil })
	})
	if !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	if got := count(t, s.Practice("harbour")); got != 1 {
		t.Errorf("afterwards: %d rows, want 1", got)
	}
}
