package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// removePatience is how long a removal waits for other processes to let go of the file. Their handles notice the
// marker within a second of their last use.
const removePatience = 15 * time.Second

// marker is the file that says "this practice is being removed". A practice with a marker cannot be opened, and open
// handles are closed: a file must not be renamed under a running SQLite, whose log it would leave behind for the next
// file of that name.
func (e *sqliteEngine) marker(t target) string {
	return filepath.Join(e.dir, "practices", "."+string(t.practice)+".removing")
}

func (e *sqliteEngine) leaving(t target) bool {
	if t.practice == "" {
		return false
	}
	_, err := os.Lstat(e.marker(t))
	return err == nil
}

// remove: marker, wait until nobody has the file open, rename, marker away. Broken off anywhere, it can be run again.
func (e *sqliteEngine) remove(ctx context.Context, t target, stamp int64) error {
	doing := "removing the " + t.String()
	if err := e.writable(); err != nil {
		return err
	}
	file := e.path(t)
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		if !e.leaving(t) {
			return missing(t)
		}
		return e.unmark(t, doing) // an earlier removal got as far as the rename
	}
	f, err := os.OpenFile(e.marker(t), os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return unavailable(doing, err)
	}
	_ = f.Close()
	if err := e.foldLog(ctx, file); err != nil {
		return unavailable(doing, err)
	}
	dest := filepath.Join(e.dir, "removed", fmt.Sprintf("%s-%d.db", t.practice, stamp))
	for n := 1; ; n++ {
		if _, err := os.Lstat(dest); errors.Is(err, os.ErrNotExist) {
			break
		}
		dest = filepath.Join(e.dir, "removed", fmt.Sprintf("%s-%d-%d.db", t.practice, stamp, n))
	}
	if err := os.Rename(file, dest); err != nil {
		return unavailable(doing, err)
	}
	for _, dir := range []string{filepath.Dir(file), filepath.Dir(dest)} {
		if err := syncDir(dir); err != nil {
			return unavailable(doing, err)
		}
	}
	return e.unmark(t, doing)
}

func (e *sqliteEngine) unmark(t target, doing string) error {
	if err := os.Remove(e.marker(t)); err != nil {
		return unavailable(doing, err)
	}
	return nil
}

// foldLog makes the database one file. Leaving WAL succeeds only when no other connection, of any process, is open.
// A file that is no database any more has no log worth keeping.
func (e *sqliteEngine) foldLog(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, removePatience)
	defer cancel()
	db, err := e.connect(file, "FULL")
	if err != nil {
		return err
	}
	defer db.Close()
	for {
		var mode string
		err := db.QueryRowContext(ctx, "PRAGMA journal_mode=DELETE").Scan(&mode)
		if err == nil && mode == "delete" {
			return nil
		}
		if err != nil && e.classify(err) == classBroken && !errors.Is(err, sql.ErrConnDone) && ctx.Err() == nil {
			return dropLog(file)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process still uses it: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func dropLog(file string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
