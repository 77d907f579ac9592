package database_test

import (
	"database/sql"
	"os"
	"testing"

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
