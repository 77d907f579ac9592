package database_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
)

// noteSchema is a schema of the tests' own, so that they do not depend on the product's tables.
const noteSchema = `-- +goose Up
CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY, body TEXT NOT NULL);
-- +goose Down
DROP TABLE note;
`

func notes() fs.FS {
	return fstest.MapFS{"00001_note.sql": {Data: []byte(noteSchema)}}
}

// openSet opens a Set with the note table in every database, of the kind that is tested.
func openSet(t *testing.T, o database.Options) *database.Set {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	return openFiles(t, databasetest.Options(t, o))
}

// openFiles is openSet, on SQLite unless the options say otherwise.
func openFiles(t *testing.T, o database.Options) *database.Set {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := database.OpenWith(t.Context(), o, notes(), notes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// store is what DB and PracticeDB have in common.
type store interface {
	Read(context.Context, func(*database.Tx) error) error
	Write(context.Context, func(*database.Tx) error) error
}

func put(t *testing.T, db store, id int64, body string) error {
	t.Helper()
	return db.Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO note (id, body) VALUES ($1, $2)", id, body)
		return err
	})
}

func count(t *testing.T, db store) int64 {
	t.Helper()
	var n int64
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM note").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWriteIsThereForTheNextReader(t *testing.T) {
	s := openSet(t, database.Options{})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]store{"registry": s.Registry(), "practice": s.Practice("harbour")} {
		if err := put(t, db, 1, "one"); err != nil {
			t.Fatal(name, err)
		}
		if got := count(t, db); got != 1 {
			t.Errorf("%s: got %d rows, want 1", name, got)
		}
	}
}

func TestUnknownPracticeIsMissingAndMakesNoFile(t *testing.T) {
	s := openSet(t, database.Options{})
	for _, id := range []string{"nobody", "../registry", "", "A"} {
		err := s.Practice(policyID(id)).Read(t.Context(), func(*database.Tx) error { return nil })
		if !errors.Is(err, database.ErrMissing) {
			t.Errorf("%q: got %v, want ErrMissing", id, err)
		}
	}
	if ids, err := s.Practices(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("got %v, %v, want no practices", ids, err)
	}
}
