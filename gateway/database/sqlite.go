package database

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"clinicgate/policy"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// sqliteEngine keeps each database in a file: dir/registry.db and dir/practices/<id>.db.
//
// Every connection has WAL (readers never wait for the writer), synchronous=FULL (a commit that was answered survives
// a power cut), foreign keys, a 5 s wait for another process's write, and SQLite's defensive mode with an untrusted
// schema, since a state folder may have been restored from anywhere.
type sqliteEngine struct {
	dir string
	now func() time.Time
}

// processWide sets what SQLite has once for a process. Open file description locks: with POSIX locks the close of any
// other descriptor of the same file (a backup's, say) would silently drop SQLite's lock. fdatasync: as every Linux
// distribution builds SQLite; commits wait about half as long. Where the system has neither, SQLite goes on without.
var processWide = sync.OnceFunc(func() {
	_, _ = sqlite.OFDLocking(true)
	_, _ = sqlite.Fdatasync(true)
})

func newSQLite(dir string, now func() time.Time) (*sqliteEngine, error) {
	processWide()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, unavailable("finding the state folder", err)
	}
	e := &sqliteEngine{dir: dir, now: now}
	for _, d := range []string{dir, filepath.Join(dir, "practices"), filepath.Join(dir, "removed")} {
		if err := os.MkdirAll(d, dirMode); err != nil {
			return nil, unavailable("creating the state folder", err)
		}
	}
	return e, nil
}

func (e *sqliteEngine) path(t target) string {
	if t.practice == "" {
		return filepath.Join(e.dir, "registry.db")
	}
	return filepath.Join(e.dir, "practices", string(t.practice)+".db")
}

// connect prepares a pool for the file; it does no I/O. The pool keeps nothing idle: lanes hold the connections.
func (e *sqliteEngine) connect(file, synchronous string) (*sql.DB, error) {
	q := url.Values{
		"mode":          {"rw"}, // never create: an unknown practice must not come into being by being asked for
		"_defensive":    {"1"},
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
		"_txlock":       {"immediate"}, // for goose, which begins its transactions through database/sql
		"_busy_timeout": {"5000"},
		"_foreign_keys": {"1"},
		"_synchronous":  {synchronous},
		"_pragma":       {"trusted_schema(0)", "cache_size(-512)", "journal_size_limit(4194304)"},
	}
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(file), RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxIdleConns(-1)
	return db, nil
}

func (e *sqliteEngine) open(_ context.Context, t target) (*opened, error) {
	file := e.path(t)
	if e.leaving(t) {
		return nil, missing(t)
	}
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, missing(t)
	case err != nil:
		return nil, unavailable("finding the file", err)
	case !info.Mode().IsRegular():
		return nil, unavailable("finding the file", errors.New("it is not a regular file"))
	}
	db, err := e.connect(file, "FULL")
	if err != nil {
		return nil, unavailable("connecting", err)
	}
	stale := func() error {
		if t.practice == "" {
			return nil // nobody removes the registry
		}
		now, err := os.Lstat(file)
		switch {
		case e.leaving(t), errors.Is(err, os.ErrNotExist):
			return missing(t)
		case err != nil:
			return unavailable("finding the file", err)
		case !os.SameFile(info, now):
			return unavailable("finding the file", errors.New("another one has taken its place"))
		}
		return nil
	}
	return &opened{db: db, stale: stale}, nil
}

// setup makes readers unable to write, and turns WAL on where a file lost it (a restored copy).
func (e *sqliteEngine) setup(ctx context.Context, c *sql.Conn, write bool) error {
	if !write {
		_, err := c.ExecContext(ctx, "PRAGMA query_only=1")
		return err
	}
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil || mode == "wal" {
		return err
	}
	return useWAL(ctx, c)
}

func useWAL(ctx context.Context, c *sql.Conn) error {
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return unavailable("turning on the write-ahead log", errors.New("the file system does not support it"))
	}
	return nil
}

func (e *sqliteEngine) begin(ctx context.Context, c *conn, write bool) error {
	if !write {
		return c.run(ctx, "BEGIN")
	}
	if err := c.run(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	return e.writable() // asked with the lock in hand: Freeze takes each lock once, and then nobody writes
}

// classify: constraint failures are the caller's, all else means that nothing can be decided. Errors of the file or
// the disk also condemn the connection, so that the next one starts afresh.
func (e *sqliteEngine) classify(err error) class {
	if c, done := classifyCommon(err); done {
		return c
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return classCaller
	}
	switch se.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return classConflict
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH:
		return classCaller
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL,
		sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return classBusy
	}
	return classBroken
}

func (e *sqliteEngine) dialect() (goose.Dialect, []goose.ProviderOption) {
	return goose.DialectSQLite3, nil
}

func (e *sqliteEngine) readers() int { return 4 }

func (e *sqliteEngine) unhurried(context.Context, *Tx) error { return nil } // nothing bounds it

// clock is the machine's own: nobody else has the files open.
func (e *sqliteEngine) clock(context.Context, *Tx) (time.Time, error) { return e.now(), nil }

func (e *sqliteEngine) list(context.Context) ([]policy.PracticeID, error) {
	entries, err := os.ReadDir(filepath.Join(e.dir, "practices"))
	if err != nil {
		return nil, unavailable("listing the practices' databases", err)
	}
	var out []policy.PracticeID
	for _, entry := range entries {
		name, isDB := strings.CutSuffix(entry.Name(), ".db")
		if id, err := policy.ParsePracticeID(name); isDB && err == nil {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out, nil
}

var _ engine = (*sqliteEngine)(nil)
