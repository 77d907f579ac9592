package database_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
)

func TestRemovedPracticeIsGoneAndItsIDStartsEmpty(t *testing.T) {
	now := func() time.Time { return time.Unix(1_700_000_000, 0) }
	s := openSet(t, database.Options{Now: now})
	for range 2 { // the second time another file of that second is there already
		if err := put2(t, s, "harbour"); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), "harbour"); err != nil {
			t.Fatal(err)
		}
		err := put(t, s.Practice("harbour"), 2, "late")
		if !errors.Is(err, database.ErrMissing) {
			t.Errorf("got %v, want ErrMissing", err)
		}
	}
	if err := s.Remove(t.Context(), "harbour"); !errors.Is(err, database.ErrMissing) {
		t.Errorf("removing again: got %v, want ErrMissing", err)
	}
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	if got := count(t, s.Practice("harbour")); got != 0 {
		t.Errorf("the id used again: got %d rows, want none", got)
	}
	if databasetest.On() {
		return // what was removed is another database there, and no file
	}
	for _, name := range []string{"harbour-1700000000.db", "harbour-1700000000-1.db"} {
		kept := filepath.Join(s.Dir(), "removed", name)
		if _, err := os.Stat(kept); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(kept + "-wal"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is not in one piece: %v", name, err)
		}
	}
}

func TestRemovedFilePutBackHoldsItsRows(t *testing.T) {
	s := openFiles(t, database.Options{Now: func() time.Time { return time.Unix(7, 0) }})
	if err := put2(t, s, "harbour"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir(), "practices", "harbour.db")
	if err := os.Rename(filepath.Join(s.Dir(), "removed", "harbour-7.db"), file); err != nil {
		t.Fatal(err)
	}
	if got := count(t, s.Practice("harbour")); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
	if _, err := os.Stat(file + "-wal"); err != nil {
		t.Errorf("the log is not on again: %v", err)
	}
}

// Two Sets on one folder are to SQLite what two processes are: each has its own connections and locks.
func TestRemovalWaitsForOtherProcessesAndStopsThem(t *testing.T) {
	s := openFiles(t, database.Options{})
	if err := put2(t, s, "harbour"); err != nil {
		t.Fatal(err)
	}
	other := openFiles(t, database.Options{Dir: s.Dir()})
	inside, leave := make(chan struct{}), make(chan struct{})
	running := make(chan error, 1)
	go func() {
		running <- other.Practice("harbour").Write(context.Background(), func(tx *database.Tx) error {
			close(inside)
			<-leave
			_, err := tx.Exec(context.Background(), insertNote, 2, "begun before")
			return err
		})
	}()
	<-inside
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Remove(impatient, "harbour"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("while it is in use: got %v, want ErrUnavailable", err)
	}
	if err := s.Create(t.Context(), "harbour"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("creating during the removal: got %v, want ErrUnavailable", err)
	}
	close(leave)
	if err := <-running; err != nil {
		t.Errorf("the transaction that was running: %v", err)
	}
	if err := s.Remove(t.Context(), "harbour"); err != nil { // the other Set's janitor lets go of the file
		t.Fatal(err)
	}
	if err := put(t, other.Practice("harbour"), 3, "late"); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	if got := count(t, other.Practice("harbour")); got != 0 {
		t.Errorf("the id used again: got %d rows, want none", got)
	}
}

func TestNoTransactionBeginsDuringARemoval(t *testing.T) {
	s := openSet(t, database.Options{})
	if err := put2(t, s, "harbour"); err != nil {
		t.Fatal(err)
	}
	inside, leave := make(chan struct{}), make(chan struct{})
	running, removed := make(chan error, 1), make(chan error, 1)
	go func() {
		running <- s.Practice("harbour").Write(context.Background(), func(*database.Tx) error {
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	go func() { removed <- s.Remove(context.Background(), "harbour") }()
	noop := func(*database.Tx) error { return nil }
	for { // until the removal has begun; it cannot end before leave
		err := s.Practice("harbour").Read(t.Context(), noop)
		if errors.Is(err, database.ErrMissing) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	close(leave)
	if err := errors.Join(<-running, <-removed); err != nil {
		t.Error(err)
	}
}

func TestRemovalBrokenOffCanBeRunAgain(t *testing.T) {
	s := openFiles(t, database.Options{})
	if err := put2(t, s, "harbour"); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(s.Dir(), "practices", ".harbour.removing")
	write(t, marker, nil) // as a removal leaves it that dies before the rename
	s.Sweep()
	noop := func(*database.Tx) error { return nil }
	if err := s.Practice("harbour").Read(t.Context(), noop); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if err := s.Remove(t.Context(), "harbour"); err != nil {
		t.Errorf("again: %v", err)
	}
	write(t, marker, nil) // after the rename
	if err := s.Remove(t.Context(), "harbour"); err != nil {
		t.Errorf("and again: %v", err)
	}
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Error(err)
	}
}

func TestCorruptFileCanBeRemoved(t *testing.T) {
	s := openFiles(t, database.Options{})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.Dir(), "practices", "harbour.db"), []byte("this is not a database at all, but long enough"))
	if err := s.Remove(t.Context(), "harbour"); err != nil {
		t.Error(err)
	}
}
