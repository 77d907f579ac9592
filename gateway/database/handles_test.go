package database_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// createMany makes n practices, p-000 and on.
func createMany(t *testing.T, s *database.Set, n int) []policy.PracticeID {
	t.Helper()
	ids := make([]policy.PracticeID, n)
	for i := range ids {
		ids[i] = policy.PracticeID(fmt.Sprintf("p-%03d", i))
		if err := s.Create(t.Context(), ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func TestManyPracticesHoldFewFilesOpen(t *testing.T) {
	const limit = 4
	s := openFiles(t, database.Options{MaxOpen: limit})
	ids := createMany(t, s, 30)
	before := descriptors(t)
	for _, id := range ids {
		if err := put(t, s.Practice(id), 1, string(id)); err != nil {
			t.Fatal(err)
		}
		if got := count(t, s.Practice(id)); got != 1 {
			t.Errorf("%s: got %d rows, want 1", id, got)
		}
		if got := s.OpenCount(); got > limit {
			t.Fatalf("got %d open, want at most %d", got, limit)
		}
	}
	// One writer and one reader each: database, log and (shared) index.
	if got, most := descriptors(t)-before, limit*5; got > most {
		t.Errorf("got %d more descriptors, want at most %d", got, most)
	}
}

// descriptors counts the open files of this process, where the system tells.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestLeastRecentlyUsedIsClosedFirst(t *testing.T) {
	s := openFiles(t, database.Options{MaxOpen: 2})
	ids := createMany(t, s, 3)
	touch := func(id policy.PracticeID) { count(t, s.Practice(id)) }
	touch(ids[0])
	touch(ids[1])
	touch(ids[0])
	touch(ids[2]) // closes ids[1]
	got := fmt.Sprint(logFiles(t, s, ids))
	if want := fmt.Sprint([]policy.PracticeID{ids[0], ids[2]}); got != want {
		t.Errorf("open: got %s, want %s", got, want)
	}
}

// logFiles returns the practices that are open: SQLite keeps a log beside the file as long as a connection lives.
func logFiles(t *testing.T, s *database.Set, ids []policy.PracticeID) (open []policy.PracticeID) {
	t.Helper()
	for _, id := range ids {
		if _, err := os.Stat(filepath.Join(s.Dir(), "practices", string(id)+".db-wal")); err == nil {
			open = append(open, id)
		}
	}
	return open
}

func TestDatabaseInUseIsNotClosedAndAFurtherOneWaits(t *testing.T) {
	s := openSet(t, database.Options{MaxOpen: 1})
	ids := createMany(t, s, 2)
	inside, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.Practice(ids[0]).Read(context.Background(), func(tx *database.Tx) error {
			close(inside)
			<-leave
			var n int
			return tx.QueryRow(context.Background(), "SELECT count(*) FROM note").Scan(&n)
		})
	}()
	<-inside
	late, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Practice(ids[1]).Read(late, func(*database.Tx) error { return nil })
	if !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable for one who does not wait", err)
	}
	second := make(chan error, 1)
	go func() {
		second <- s.Practice(ids[1]).Read(context.Background(), func(*database.Tx) error { return nil })
	}()
	if got := s.OpenCount(); got != 1 {
		t.Errorf("got %d open, want 1", got)
	}
	close(leave)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}

func TestIdleDatabaseIsClosed(t *testing.T) {
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(clock.Load(), 0) }
	s := openSet(t, database.Options{IdleClose: time.Minute, Now: now})
	ids := createMany(t, s, 2)
	count(t, s.Practice(ids[0]))
	clock.Add(40)
	count(t, s.Practice(ids[1]))
	clock.Add(30)
	s.Sweep()
	if got := s.OpenCount(); got != 1 {
		t.Errorf("after 70 s and 30 s: got %d open, want 1", got)
	}
	clock.Add(30)
	s.Sweep()
	if got := s.OpenCount(); got != 0 {
		t.Errorf("after a minute: got %d open, want none", got)
	}
	count(t, s.Practice(ids[0]))
}

// slowFiles holds up the first reader of a migration until it is let go.
type slowFiles struct {
	fs.FS
	held    chan struct{}
	release chan struct{}
	first   atomic.Bool
}

func (f *slowFiles) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, "00002") && f.first.CompareAndSwap(false, true) {
		close(f.held)
		<-f.release
	}
	return f.FS.Open(name)
}

func TestSlowOpeningHoldsUpNobodyElse(t *testing.T) {
	dir := t.TempDir()
	old := openFiles(t, database.Options{Dir: dir})
	ids := createMany(t, old, 2)
	slow := &slowFiles{held: make(chan struct{}), release: make(chan struct{}), FS: fstest.MapFS{
		"00001_note.sql": {Data: []byte(noteSchema)},
		"00002_more.sql": {Data: []byte("-- +goose Up\nCREATE TABLE more (id BIGINT);\n")},
	}}
	s, err := database.OpenWith(t.Context(), database.Options{Dir: dir}, notes(), slow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	noop := func(*database.Tx) error { return nil }
	first := make(chan error, 1)
	go func() { first <- s.Practice(ids[0]).Read(context.Background(), noop) }()
	<-slow.held
	if err := s.Practice(ids[1]).Read(t.Context(), noop); err != nil {
		t.Error(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Practice(ids[0]).Read(impatient, noop); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable for one who does not wait", err)
	}
	close(slow.release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestPracticesUsedAtRandomLoseNothing(t *testing.T) {
	const workers, rounds, practices = 8, 40, 6
	s := openSet(t, database.Options{MaxOpen: 3, IdleClose: time.Nanosecond})
	ids := createMany(t, s, practices)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range rounds {
				id := ids[r.IntN(practices)]
				err := s.Practice(id).Write(context.Background(), func(tx *database.Tx) error {
					_, err := tx.Exec(context.Background(), insertNote, w*rounds+i, string(id))
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if i%8 == 0 {
					s.Sweep()
				}
			}
		})
	}
	wg.Wait()
	var total int64
	for _, id := range ids {
		total += count(t, s.Practice(id))
		var foreign int64
		err := s.Practice(id).Read(t.Context(), func(tx *database.Tx) error {
			return tx.QueryRow(t.Context(), "SELECT count(*) FROM note WHERE body <> $1", string(id)).Scan(&foreign)
		})
		if err != nil || foreign != 0 {
			t.Errorf("%s: got %d rows of others, %v", id, foreign, err)
		}
	}
	if total != workers*rounds {
		t.Errorf("got %d rows, want %d", total, workers*rounds)
	}
	if got := s.OpenCount(); got > 3 {
		t.Errorf("got %d open, want at most 3", got)
	}
}

func TestClosedSetRefuses(t *testing.T) {
	s, err := database.OpenWith(t.Context(), database.Options{Dir: t.TempDir()}, notes(), notes())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Create(t.Context(), "harbour"), s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	noop := func(*database.Tx) error { return nil }
	for name, db := range map[string]store{"registry": s.Registry(), "practice": s.Practice("harbour")} {
		if err := db.Write(t.Context(), noop); !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}
