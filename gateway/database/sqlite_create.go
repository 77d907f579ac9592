package database

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// unfinished begins the names of databases that are being created.
const unfinished = ".new-"

// tidy removes what creations left behind that were killed. Nobody takes an hour to create a database, so what is
// older is not another process's present work. Failure is no harm.
func (e *sqliteEngine) tidy(_ context.Context, now time.Time) {
	for _, dir := range []string{e.dir, filepath.Join(e.dir, "practices")} {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			info, err := entry.Info()
			if err == nil && strings.HasPrefix(entry.Name(), unfinished) && now.Sub(info.ModTime()) > time.Hour {
				_ = os.Remove(filepath.Join(dir, entry.Name()))
			}
		}
	}
}

// create builds the database under a name of its own and links it to its place when it is complete: a crash or a full
// disk at any moment leaves either no database or a whole one, and of two processes that create the same one, the
// second finds it there.
func (e *sqliteEngine) create(ctx context.Context, t target) error {
	file := e.path(t)
	if e.leaving(t) {
		return unavailable("creating the "+t.String(), errors.New("its removal is not finished: remove it again first"))
	}
	if _, err := os.Lstat(file); err == nil {
		return nil
	}
	if err := e.writable(); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(file), unfinished+rand.Text()+".db")
	defer func() {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			_ = os.Remove(temp + suffix)
		}
	}()
	if err := e.build(ctx, t, temp); err != nil {
		return unavailable("creating the "+t.String(), err)
	}
	if err := os.Link(temp, file); err != nil && !errors.Is(err, os.ErrExist) {
		return unavailable("creating the "+t.String(), err)
	}
	if err := syncDir(filepath.Dir(file)); err != nil {
		return unavailable("creating the "+t.String(), err)
	}
	return nil
}

// build fills a new file: meta table, schema, write-ahead log. Nobody else knows the file yet, so it is synced once,
// at the end, which takes a tenth of the time.
func (e *sqliteEngine) build(ctx context.Context, t target, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := e.fillIn(ctx, t, file); err != nil {
		return err
	}
	return f.Sync()
}

func (e *sqliteEngine) fillIn(ctx context.Context, t target, file string) error {
	db, err := e.connect(file, "OFF")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	for _, step := range []struct {
		statement string
		args      []any
	}{{"PRAGMA journal_mode=MEMORY", nil}, {createMeta, nil}, {insertMeta, []any{t.owner()}}} {
		if _, err := db.ExecContext(ctx, step.statement, step.args...); err != nil {
			return err
		}
	}
	if err := migrate(ctx, e, t, db); err != nil {
		return err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	if err := useWAL(ctx, c); err != nil {
		_ = c.Close()
		return err
	}
	return errors.Join(c.Close(), db.Close())
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
