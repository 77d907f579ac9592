package database_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"github.com/google/go-cmp/cmp"
)

func TestEmbeddedMigrationsApply(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time they are there already
		s, err := database.Open(t.Context(), database.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Create(t.Context(), "harbour"); err != nil {
			t.Error(err)
		}
		if err := s.Migrate(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestProcessesMigrateAtOnce(t *testing.T) {
	o := databasetest.Options(t, database.Options{Dir: t.TempDir()})
	old := openFiles(t, o)
	createMany(t, old, 3)
	next := fstest.MapFS{"00001_note.sql": {Data: []byte(noteSchema)}}
	for i := 2; i < 8; i++ {
		next[fmt.Sprintf("%05d_more.sql", i)] = &fstest.MapFile{
			Data: fmt.Appendf(nil, "-- +goose Up\nCREATE TABLE more%d (id BIGINT);\n", i),
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := database.OpenWith(t.Context(), o, next, next)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Create(t.Context(), "harbour"), s.Migrate(t.Context(), nil), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := database.OpenWith(t.Context(), o, next, next)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, db := range []store{s.Registry(), s.Practice("p-000"), s.Practice("harbour")} {
		err := db.Read(t.Context(), func(tx *database.Tx) error {
			var n int64
			return tx.QueryRow(t.Context(), "SELECT count(*) FROM more7").Scan(&n)
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestMigrationThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	old := openFiles(t, database.Options{Dir: dir})
	createMany(t, old, 1)
	bad := fstest.MapFS{
		"00001_note.sql": {Data: []byte(noteSchema)},
		"00002_bad.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE more (id BIGINT);\nCREATE TABLE note (id BIGINT);\n")},
	}
	s, err := database.OpenWith(t.Context(), database.Options{Dir: dir}, notes(), bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context(), nil); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	err = old.Practice("p-000").Read(t.Context(), func(tx *database.Tx) error {
		var n int64
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM sqlite_master WHERE name = 'more'").Scan(&n)
	})
	if err != nil {
		t.Errorf("the old program: %v", err)
	}
}

func TestMigrateReportsProgressAndGoesOnAfterAFailure(t *testing.T) {
	s := openFiles(t, database.Options{MaxOpen: 1})
	createMany(t, s, 4)
	write(t, filepath.Join(s.Dir(), "practices", "p-001.db"), nil)
	var seen []int
	err := s.Migrate(t.Context(), func(done, total int) { seen = append(seen, done, total) })
	if !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want the failure of p-001", err)
	}
	if diff := cmp.Diff([]int{1, 4, 2, 4, 3, 4, 4, 4}, seen); diff != "" {
		t.Error(diff)
	}
}
