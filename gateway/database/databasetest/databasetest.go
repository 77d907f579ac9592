// Package databasetest lets the tests of every package that uses a database run on each kind there is: on SQLite, and
// on a real PostgreSQL server when one is named.
package databasetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/gateway/database"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver that drops what a test has made
)

// Server is the environment variable with the URL of the PostgreSQL server to test on, whose user may make databases.
// Unset: SQLite.
const Server = "CLINICGATE_TEST_POSTGRES"

// nameFile keeps, in a test's state folder, the names of its databases: whoever opens the same folder, another process
// too, opens the same databases.
const nameFile = "postgres.name"

// On reports whether the tests run on PostgreSQL.
func On() bool { return os.Getenv(Server) != "" }

// Options completes the options for the kind of database that is tested. What it makes on a server is dropped after
// the test.
func Options(t testing.TB, o database.Options) database.Options {
	t.Helper()
	if !On() || o.Postgres != nil {
		return o
	}
	p, err := Address(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		name := "t" + strings.ToLower(rand.Text()[:10])
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.Dir, nameFile), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { drop(t, name) })
		p, err = Address(o.Dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Postgres = p
	return o
}

// Address is what a process of a test needs to open the databases of a folder that Options has completed; nil on
// SQLite.
func Address(dir string) (*database.Postgres, error) {
	if !On() {
		return nil, nil
	}
	name, err := os.ReadFile(filepath.Join(dir, nameFile))
	if err != nil {
		return nil, err
	}
	server, err := url.Parse(os.Getenv(Server))
	if err != nil {
		return nil, err
	}
	registry, practices := *server, *server
	registry.Path = "/" + string(name)
	practices.Path = "/" + string(name) + "_PRACTICE"
	return &database.Postgres{
		Registry:  registry.String(),
		Practices: strings.Replace(practices.String(), "PRACTICE", "{practice}", 1),
	}, nil
}

// Open is database.Open on the kind of database that is tested.
func Open(t testing.TB, o database.Options) (*database.Set, error) {
	t.Helper()
	return database.Open(context.Background(), Options(t, o))
}

// drop removes the databases whose names begin with name.
func drop(t testing.TB, name string) {
	db, err := sql.Open("pgx", os.Getenv(Server))
	if err != nil {
		t.Error(err)
		return
	}
	defer db.Close()
	rows, err := db.Query(`SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, name)
	if err != nil {
		t.Error(err)
		return
	}
	var names []string
	for rows.Next() {
		var found string
		if err := rows.Scan(&found); err != nil {
			t.Error(err)
		}
		names = append(names, found)
	}
	for _, found := range names {
		if _, err := db.Exec("DROP DATABASE IF EXISTS " + pgx.Identifier{found}.Sanitize() + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	}
}
