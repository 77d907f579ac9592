package database_test

import (
	"database/sql"
	"os"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/policy"
	_ "modernc.org/sqlite"
)

// policyID names a practice without the check that every reader of outside input makes.
func policyID(s string) policy.PracticeID { return policy.PracticeID(s) }

// fold copies a database that is in use into one complete file, replacing what is there.
func fold(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+from)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("VACUUM INTO ?", to); err != nil {
		t.Fatal(err)
	}
}

// bodies returns what a database's notes hold.
func bodies(t *testing.T, db store) map[int64]string {
	t.Helper()
	out := make(map[int64]string)
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		rows, err := tx.Query(t.Context(), "SELECT id, body FROM note")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var body string
			if err := rows.Scan(&id, &body); err != nil {
				return err
			}
			out[id] = body
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
