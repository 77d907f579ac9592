// Package login_test attacks signing in at the running binary: guessing, replay, half
// sign-ins, factor changes and floods (THREATS L and F), and walks the journeys of a
// clinic's morning.
package login_test

import (
	"database/sql"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the state is SQLite files; tests age what stands in them

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// gate is the one demo that tests share. Each test makes its own people in it, because
// accounts have budgets.
var gate *harness.Gateway

func TestMain(m *testing.M) { os.Exit(probe.Main(m, &gate)) }

// password sends the first form from an address, without any cookie of before.
func password(t *testing.T, g *harness.Gateway, practice, from, email, password string, cookies ...string) harness.Answer {
	t.Helper()
	p := g.Practice(practice)
	return probe.Send(t, probe.Client(t, g, from), probe.Form(p, "/.gate/login",
		url.Values{"email": {email}, "password": {password}}, cookies...))
}

// halfway signs in with the password only and returns the cookie of the sign-in in progress.
func halfway(t *testing.T, g *harness.Gateway, practice, from string, who harness.Account) string {
	t.Helper()
	res := password(t, g, practice, from, who.Email, who.Password)
	flow, _ := probe.Cookie(res, probe.Flow)
	if res.StatusCode != http.StatusSeeOther || flow == "" {
		t.Fatalf("password of %s: %s, no sign-in in progress\n%.300s", who.Email, res.Status, res.Text)
	}
	return probe.Flow + "=" + flow
}

// code sends the second form.
func code(t *testing.T, g *harness.Gateway, practice, from, code string, cookies ...string) harness.Answer {
	t.Helper()
	p := g.Practice(practice)
	return probe.Send(t, probe.Client(t, g, from), probe.Form(p, "/.gate/login/totp", url.Values{"code": {code}}, cookies...))
}

// alter runs a statement on a practice's database, as only somebody on the machine can.
func alter(t *testing.T, state, practice, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(state, "practices", practice+".db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done, err := db.Exec(statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed nothing: %v", statement, err)
	}
}

// keyOn finds the key on the enrolment page.
func keyOn(t *testing.T, html string) string {
	t.Helper()
	_, rest, found := strings.Cut(html, "secret=")
	if !found {
		t.Fatalf("no key on the page: %.400s", html)
	}
	return rest[:strings.IndexAny(rest, "&\"")]
}

// where is the answer's redirect, "" for none.
func where(res harness.Answer) string { return res.Header.Get("Location") }
