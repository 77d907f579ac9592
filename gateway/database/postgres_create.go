package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// unfinishedAge is when a half-created database is nobody's present work any more.
const unfinishedAge = time.Hour

// create builds a practice's database under a name of its own and renames it when it is complete, as with SQLite: a
// crash at any moment leaves either no database or a whole one, and of two nodes that create the same one, the second
// finds it there. The registry's database is filled in where it is.
func (e *postgresEngine) create(ctx context.Context, t target) error {
	build := e.createPractice
	if t.practice == "" {
		build = e.createRegistry
	}
	return outageOrNil("creating the "+t.String(), build(ctx, t))
}

func (e *postgresEngine) createPractice(ctx context.Context, t target) error {
	name := e.name(t.practice)
	return e.onServer(ctx, func(db *sql.DB) error {
		var there bool
		const exists = `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`
		if err := db.QueryRowContext(ctx, exists, name).Scan(&there); err != nil || there {
			return err
		}
		temp := e.unfinishedName(e.now())
		if err := createDatabase(ctx, db, temp); err != nil {
			return err
		}
		err := e.fillIn(ctx, t, e.named(temp))
		if err == nil {
			err = run(ctx, db, `ALTER DATABASE %s RENAME TO %s`, temp, name)
		}
		if err != nil {
			_ = run(context.WithoutCancel(ctx), db, `DROP DATABASE IF EXISTS %s WITH (FORCE)`, temp)
		}
		if state := sqlState(err); state == "42P04" || state == "23505" { // another node was faster
			return nil
		}
		return err
	})
}

// createRegistry makes the registry's database if the server has none of this name, and fills it in if it is empty.
func (e *postgresEngine) createRegistry(ctx context.Context, t target) error {
	db := pool(e.registry)
	defer db.Close()
	err := db.PingContext(ctx)
	if sqlState(err) == "3D000" {
		server := e.registry.Copy()
		server.Database = "postgres"
		on := pool(server)
		defer on.Close()
		if err = createDatabase(ctx, on, e.registry.Database); err != nil && sqlState(err) != "42P04" && sqlState(err) != "23505" {
			return fmt.Errorf("the server has no database of that name, and making it failed (createdb makes it by hand): %w", err)
		}
	} else if err != nil {
		return err
	}
	return e.fillIn(ctx, t, e.registry)
}

// createDatabase makes an empty database that sorts text by its bytes, as SQLite does.
func createDatabase(ctx context.Context, db *sql.DB, name string) error {
	return run(ctx, db, `CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`, name)
}

// fillIn writes the meta table unless it is there, and the schema.
func (e *postgresEngine) fillIn(ctx context.Context, t target, address *pgx.ConnConfig) error {
	db := pool(address)
	defer db.Close()
	if err := createMetaOnce(ctx, db, t); err != nil {
		return err
	}
	return migrate(ctx, e, t, db)
}

// createMetaOnce runs under the writer's lock: two nodes that start at once both come here.
func createMetaOnce(ctx context.Context, db *sql.DB, t target) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var there bool
	if _, err := tx.ExecContext(ctx, lockWriter); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, `SELECT to_regclass('public.meta') IS NOT NULL`).Scan(&there); err != nil || there {
		return err
	}
	if _, err := tx.ExecContext(ctx, createMeta); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, insertMeta, t.owner()); err != nil {
		return err
	}
	return tx.Commit()
}

// run runs a statement about databases, whose names no placeholder can stand for.
func run(ctx context.Context, db *sql.DB, format string, names ...string) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf(format, quoted...))
	return err
}

// unfinishedName is the name of a database that is being created, with the time in it.
func (e *postgresEngine) unfinishedName(now time.Time) string {
	return e.prefix + "_new_" + strconv.FormatInt(now.Unix(), 36) + "_" + strings.ToLower(rand.Text()[:12])
}

// tidy drops what creations left behind that were killed. Failure is no harm.
func (e *postgresEngine) tidy(ctx context.Context, now time.Time) {
	_ = e.onServer(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, e.prefix+"_new_")
		if err != nil {
			return err
		}
		var old []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return errors.Join(err, rows.Close())
			}
			stamp, _, _ := strings.Cut(strings.TrimPrefix(name, e.prefix+"_new_"), "_")
			if began, err := strconv.ParseInt(stamp, 36, 64); err == nil && now.Sub(time.Unix(began, 0)) > unfinishedAge {
				old = append(old, name)
			}
		}
		for _, name := range old {
			_ = run(ctx, db, `DROP DATABASE IF EXISTS %s WITH (FORCE)`, name)
		}
		return rows.Err()
	})
}
