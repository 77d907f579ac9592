package database_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"clinicgate/gateway/database"
)

// The disk is full in the middle of folding the log into the database. What was answered stays, also when the process ends like that, and a new one
// goes on as soon as there is room.
func TestDiskFullWhenTheLogIsToBeFolded(t *testing.T) {
	disk, mounted := smallDisk(t, "16m")
	if !mounted {
		t.Log("only root may mount a small disk: nothing was filled")
		return
	}
	dir := filepath.Join(disk, "state")
	s := openFiles(t, database.Options{Dir: dir})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	db := s.Practice("harbour")
	file := filepath.Join(dir, "practices", "harbour.db")
	size := func(name string) int64 {
		info, err := os.Stat(name)
		if err != nil {
			return 0 // the log comes with the first row
		}
		return info.Size()
	}
	var rows int64
	fill := func(until func() bool) (err error) {
		for err == nil && !until() {
			if err = put(t, db, rows+1, big); err == nil {
				rows++
			}
		}
		return err
	}
	const fold = 1000 * 4096 // bytes of log at which SQLite folds it
	if err := fill(func() bool { return size(file+"-wal") > fold-400<<10 }); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	free := leave(t, ballast, 1<<20)
	before := size(file)
	if err := fill(func() bool { return false }); !errors.Is(err, database.ErrUnavailable) {
		t.Fatalf("without any room: got %v, want ErrUnavailable", err)
	}
	if after := size(file); after == before || after > before+1<<20 {
		t.Fatalf("the folding was not broken off on the way: the file has %d bytes, before %d", after, before)
	}
	if got := count(t, db); got != rows {
		t.Errorf("%d rows, want the %d that were answered", got, rows)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing on the full disk: %v", err)
	}
	again := openFiles(t, database.Options{Dir: dir})
	if err := put(t, again.Practice("harbour"), rows+1, big); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("the next process on the full disk: got %v, want ErrUnavailable", err)
	}
	free()
	db = again.Practice("harbour")
	if got := count(t, db); got != rows {
		t.Errorf("with room again: %d rows, want %d", got, rows)
	}
	if err := put(t, db, rows+1, big); err != nil {
		t.Errorf("with room again: %v", err)
	}
	var verdict string
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), "PRAGMA integrity_check").Scan(&verdict)
	})
	if err != nil || verdict != "ok" {
		t.Errorf("integrity: %s %v", verdict, err)
	}
}

// leave fills a disk but for some room and gives it back with the returned function.
func leave(t *testing.T, name string, room int64) (free func()) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 4096; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(max(info.Size()-room, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}
