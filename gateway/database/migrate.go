package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

// The meta table says whose database this is and which schema it has. It is written when a database is created and
// read on every connection: a file that was copied over another practice's is refused, and the schema's number spares
// an up-to-date database the cost of goose.
const (
	createMeta = `CREATE TABLE meta (
	id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
	owner TEXT NOT NULL,
	schema_version BIGINT NOT NULL)`
	insertMeta  = `INSERT INTO meta (id, owner, schema_version) VALUES (1, $1, 0)`
	selectMeta  = `SELECT owner, schema_version FROM meta WHERE id = 1`
	advanceMeta = `UPDATE meta SET schema_version = $1 WHERE id = 1 AND schema_version < $1`
)

var (
	errSchemaOld = errors.New("the schema is older than this program's")
	errSchemaNew = errors.New("the schema is newer than this program's")
)

// checkMeta compares the meta table with what the target must be, and returns the target with its generation.
func checkMeta(ctx context.Context, c *sql.Conn, t target) (target, error) {
	var owner string
	var version int64
	if err := c.QueryRowContext(ctx, selectMeta).Scan(&owner, &version); err != nil {
		return t, unavailable("reading whose the "+t.String()+" is", err)
	}
	t, ok := t.claimed(owner)
	switch {
	case !ok && owner == unfinishedRegistry && t.practice == "":
		return t, &failure{
			doing: "opening the " + t.String(), class: ErrUnfinished,
			cause: errors.New("`gateway migrate --finish` completes a migration; a backup must be made anew"),
		}
	case !ok:
		return t, &failure{
			doing: "opening the " + t.String(), class: ErrSwapped,
			cause: fmt.Errorf("it is marked %.80q; put the right file back", owner),
		}
	case version < t.version:
		return t, errSchemaOld
	case version > t.version:
		return t, unavailable("opening the "+t.String(),
			fmt.Errorf("%w (%d, this program knows %d): run the newer program", errSchemaNew, version, t.version))
	}
	return t, nil
}

// migrate applies what is missing. Two processes may do so at once. On PostgreSQL one waits for the other's lock; on
// SQLite each migration is one transaction, so one of them fails on what the other has just done and finds it done when
// it looks again.
func migrate(ctx context.Context, e engine, t target, db *sql.DB) error {
	if err := e.writable(); err != nil {
		return err
	}
	if t.version > 0 {
		dialect, options := e.dialect()
		options = append(options, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
		p, err := goose.NewProvider(dialect, db, t.migrations, options...)
		if err != nil {
			return unavailable("reading the migrations", err)
		}
		for try := int64(0); ; try++ {
			if _, err = p.Up(ctx); err == nil {
				break
			}
			if ctx.Err() != nil || try > t.version {
				return unavailable("migrating the "+t.String(), err)
			}
		}
	}
	if _, err := db.ExecContext(ctx, advanceMeta, t.version); err != nil {
		return unavailable("recording the schema of the "+t.String(), err)
	}
	return nil
}

// schemaVersion is the highest number among the migrations' names.
func schemaVersion(files fs.FS) (int64, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, err
	}
	var highest int64
	for _, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n <= 0 {
			return 0, fmt.Errorf("migration %q: its name must begin with a number and an underscore", name)
		}
		highest = max(highest, n)
	}
	return highest, nil
}
