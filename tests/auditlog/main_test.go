// Package auditlog_test attacks the record of what happened: altered rows, hostile
// input, a log that cannot be written, and secrets that must stand nowhere (THREATS A).
package auditlog_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite" // the log is in a SQLite file, which a test alters

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// gate is the one demo that tests share.
var gate *harness.Gateway

func TestMain(m *testing.M) { os.Exit(probe.Main(m, &gate)) }

// signIn sends the password form with a User-Agent.
func signIn(t *testing.T, g *harness.Gateway, p harness.Practice, who harness.Account, agent string) harness.Answer {
	t.Helper()
	req := probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}})
	if agent != "" {
		req.Header["User-Agent"] = []string{agent}
	}
	return probe.Send(t, probe.Client(t, g, ""), req)
}

// open opens a practice's database beside the running gateway.
func open(t *testing.T, g *harness.Gateway, practice string) *sql.DB {
	t.Helper()
	file := filepath.Join(g.State, "practices", practice+".db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
