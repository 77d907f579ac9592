// Package faults_test breaks things under the running binary: the power, the disk, the
// policy file, the config, the end (THREATS L, A; DESIGN section 4).
package faults_test

import (
	"database/sql"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the state is SQLite files, checked from outside

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// signIn sends the password form.
func signIn(t *testing.T, client *http.Client, p harness.Practice, who harness.Account) (*http.Response, error) {
	t.Helper()
	res, err := client.Do(probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}))
	if err == nil {
		defer res.Body.Close()
	}
	return res, err
}

// sessionOf is the session cookie that an answer sets, "" for none.
func sessionOf(res *http.Response) string {
	value, _ := probe.Cookie(harness.Answer{Response: res}, probe.Session)
	return value
}

// script asks for a path as a page's script does.
func script(p harness.Practice, path, session string) *http.Request {
	req := probe.Page(p, path, probe.Session+"="+session)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	return req
}

// sound checks every database file and every chain.
func sound(t *testing.T, g *harness.Gateway) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(g.State, "practices", "*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no databases in %s: %v", g.State, err)
	}
	for _, file := range append(files, filepath.Join(g.State, "registry.db")) {
		db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		var verdict string
		if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("%s: %s %v", filepath.Base(file), verdict, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if out, errs, code := g.Run(t, "audit", "verify", "--all"); code != 0 {
		t.Errorf("audit verify: exit %d\n%s%s", code, out, errs)
	}
}

// signedIn counts the recorded sign-ins by person.
func signedIn(t *testing.T, g *harness.Gateway, practice string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, r := range probe.Audit(t, g, practice) {
		if r.Action == "signed_in" {
			count[r.Actor]++
		}
	}
	return count
}

// alarmed checks that an operator can see that the gateway could not decide.
func alarmed(t *testing.T, g *harness.Gateway) {
	t.Helper()
	if !strings.Contains(g.Log(), `"msg":"could not decide"`) {
		t.Error("no line in the log")
	}
	if probe.Metric(t, g, `clinicgate_refusals_total{reason="could_not_decide"}`) == 0 {
		t.Error("no figure in the metrics")
	}
}
