package database_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"clinicgate/gateway/database"
)

// smallDisk returns a folder on a file system of its own of size bytes; ok is false when the test may not mount one.
func smallDisk(t *testing.T, size string) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	unmount, err := mountSmall(dir, size)
	if err != nil {
		return dir, false
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	return dir, true
}

// big is a row that fills the disk soon.
var big = strings.Repeat("x", 64<<10)

func TestFullDiskIsUnavailableThenRecovers(t *testing.T) {
	disk, mounted := smallDisk(t, "1m")
	s := openFiles(t, database.Options{Dir: filepath.Join(disk, "state")})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	db := s.Practice("harbour")
	pages := func(n string) {
		err := db.Write(t.Context(), func(tx *database.Tx) error {
			var got int64
			return tx.QueryRow(t.Context(), "PRAGMA max_page_count="+n).Scan(&got)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ballast := filepath.Join(disk, "ballast")
	if mounted { // room that can be given back later
		if err := os.WriteFile(ballast, make([]byte, 300<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		pages("60")
	}
	var kept, last int64
	var err error
	for last = 1; last < 100; last++ {
		if err = put(t, db, last, big); err != nil {
			break
		}
		kept++
	}
	if !errors.Is(err, database.ErrUnavailable) {
		t.Fatalf("after %d rows: got %v, want ErrUnavailable", kept, err)
	}
	if mounted {
		if err := s.Create(t.Context(), "banksia"); !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("creating: got %v, want ErrUnavailable", err)
		}
		if err := s.Practice("banksia").Read(t.Context(), func(*database.Tx) error { return nil }); !errors.Is(err, database.ErrMissing) {
			t.Errorf("what was half created: got %v, want ErrMissing", err)
		}
	}
	if got := count(t, db); got != kept {
		t.Errorf("got %d rows, want the %d that were acknowledged", got, kept)
	}
	if mounted {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	} else {
		pages("100000")
	}
	if err := put(t, db, last, big); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := count(t, db); got != kept+1 {
		t.Errorf("got %d rows, want %d", got, kept+1)
	}
}

func TestReadOnlyFolderIsUnavailableThenRecovers(t *testing.T) {
	s := openFiles(t, database.Options{MaxOpen: 1})
	for _, id := range []string{"harbour", "acacia"} {
		if err := s.Create(t.Context(), policyID(id)); err != nil {
			t.Fatal(err)
		}
	}
	writable, err := makeReadOnly(filepath.Join(s.Dir(), "practices"))
	if err != nil {
		t.Fatal(err)
	}
	db := s.Practice("harbour")
	for range 2 {
		if err := put(t, db, 1, "a"); !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if err := s.Create(t.Context(), "banksia"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("creating: got %v, want ErrUnavailable", err)
	}
	if err := s.Remove(t.Context(), "harbour"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("removing: got %v, want ErrUnavailable", err)
	}
	if err := put(t, s.Registry(), 1, "elsewhere"); err != nil {
		t.Errorf("registry, which is writable: %v", err)
	}
	writable()
	if err := put(t, db, 1, "a"); err != nil {
		t.Errorf("writable again: %v", err)
	}
	if got := count(t, db); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
}

func TestWrongFileIsRefusedAndTheRightOneWorksAgain(t *testing.T) {
	newer := fstest.MapFS{
		"00001_note.sql": {Data: []byte(noteSchema)},
		"00007_more.sql": {Data: []byte("-- +goose Up\nCREATE TABLE more (id BIGINT);\n")},
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, file string) // of harbour.db, which is closed
		want   error
		text   string
	}{
		{"another practice's file", func(t *testing.T, file string) {
			replace(t, file, filepath.Join(filepath.Dir(file), "banksia.db"))
		}, database.ErrSwapped, "practice:banksia"},
		{"the registry", func(t *testing.T, file string) {
			fold(t, filepath.Join(filepath.Dir(file), "..", "registry.db"), file)
		}, database.ErrSwapped, "registry"},
		{"an empty file", func(t *testing.T, file string) { write(t, file, nil) }, database.ErrUnavailable, ""},
		{"no database", func(t *testing.T, file string) {
			write(t, file, bytes.Repeat([]byte("not a database. "), 1024))
		}, database.ErrUnavailable, ""},
		{"a cut file", func(t *testing.T, file string) {
			if err := os.Truncate(file, 5000); err != nil {
				t.Fatal(err)
			}
		}, database.ErrUnavailable, ""},
		{"a folder", func(t *testing.T, file string) {
			if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, database.ErrUnavailable, "regular"},
		{"a link to another practice", func(t *testing.T, file string) {
			if err := errors.Join(os.Remove(file), os.Symlink("banksia.db", file)); err != nil {
				t.Fatal(err)
			}
		}, database.ErrUnavailable, "regular"},
		{"a newer program's file", func(t *testing.T, file string) {
			s, err := database.OpenWith(t.Context(), database.Options{Dir: filepath.Dir(filepath.Dir(file))}, notes(), newer)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(put(t, s.Practice("harbour"), 7, "new"), s.Close()); err != nil {
				t.Fatal(err)
			}
		}, database.ErrUnavailable, "newer program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openFiles(t, database.Options{MaxOpen: 1})
			for _, id := range []string{"harbour", "banksia"} {
				if err := s.Create(t.Context(), policyID(id)); err != nil {
					t.Fatal(err)
				}
			}
			if err := put(t, s.Practice("harbour"), 1, "a"); err != nil {
				t.Fatal(err)
			}
			count(t, s.Practice("banksia")) // closes harbour
			file := filepath.Join(s.Dir(), "practices", "harbour.db")
			good, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tt.damage(t, file)
			for range 2 {
				err = put(t, s.Practice("harbour"), 2, "b")
				if !errors.Is(err, tt.want) || !errors.Is(err, database.ErrUnavailable) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v, want %v naming %q", err, tt.want, tt.text)
				}
			}
			if got := count(t, s.Practice("banksia")); got != 0 {
				t.Errorf("banksia: got %d rows, want none", got)
			}
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			write(t, file, good)
			if got := count(t, s.Practice("harbour")); got != 1 {
				t.Errorf("the right file again: got %d rows, want 1", got)
			}
		})
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts a copy of another file in file's place.
func replace(t *testing.T, file, by string) {
	t.Helper()
	data, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, file, data)
}

func TestFileSwappedWhileOpenIsLetGo(t *testing.T) {
	s := openFiles(t, database.Options{})
	for _, id := range []string{"harbour", "banksia"} {
		if err := put2(t, s, id); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(s.Dir(), "practices", "harbour.db")
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	fold(t, filepath.Join(s.Dir(), "practices", "banksia.db"), foreign)
	if err := os.Rename(foreign, file); err != nil {
		t.Fatal(err)
	}
	s.Sweep()
	err := s.Practice("harbour").Read(t.Context(), func(*database.Tx) error { return nil })
	if !errors.Is(err, database.ErrSwapped) {
		t.Errorf("got %v, want ErrSwapped", err)
	}
}

// put2 creates a practice and writes a row.
func put2(t *testing.T, s *database.Set, id string) error {
	t.Helper()
	if err := s.Create(t.Context(), policyID(id)); err != nil {
		return err
	}
	return put(t, s.Practice(policyID(id)), 1, id)
}

func TestFilesAreTheirOwnersOnly(t *testing.T) {
	s := openFiles(t, database.Options{Dir: filepath.Join(t.TempDir(), "state")})
	if err := put2(t, s, "harbour"); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(s.Dir(), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatAKilledCreationLeftIsTidiedUpAndNoPractice(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, database.Options{Dir: dir})
	old, young := filepath.Join(dir, "practices", ".new-OLD.db"), filepath.Join(dir, "practices", ".new-YOUNG.db")
	write(t, old, []byte("half"))
	write(t, young, []byte("another process is at it"))
	now := time.Now()
	if err := os.Chtimes(old, now, now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if ids, err := s.Practices(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("got %v, %v, want no practice", ids, err)
	}
	openFiles(t, database.Options{Dir: dir, Now: func() time.Time { return now }})
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old one is still there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young one: %v", err)
	}
}
