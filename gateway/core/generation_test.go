package core_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/core"
	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
)

// next applies harbour again, as the command line does after a removal.
func next(t *testing.T, c *core.Core) {
	t.Helper()
	doc := c.Directory.ByID("acacia").Policy.Document()
	doc.Practice, doc.Name, doc.Hosts = "harbour", "Another", []string{"harbour.localhost"}
	planned, err := c.Directory.Apply(t.Context(), doc, author, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DB.CreateGeneration(t.Context(), "harbour", planned.Generation); err != nil {
		t.Fatal(err)
	}
	note(t, c, "harbour", "practice_created")
	if _, err := c.Directory.Apply(t.Context(), doc, author, false); err != nil {
		t.Fatal(err)
	}
}

// add gives harbour a person.
func add(t *testing.T, c *core.Core, email string) {
	t.Helper()
	_, err := c.Accounts.Add(t.Context(), "harbour", account.NewPerson{
		Email: email, Name: email, Roles: []string{"clinician"}, Password: vault.NewSecret("lantern oboe tundra gravel"),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func people(t *testing.T, c *core.Core) int {
	t.Helper()
	list, err := c.Accounts.List(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func intact(t *testing.T, c *core.Core, rows int64) {
	t.Helper()
	if err := c.Audit.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := c.Audit.Verify(t.Context(), "harbour", nil)
	if err != nil || !r.Intact || r.Rows != rows || len(r.Warnings) > 0 || c.Audit.Stats().Damaged > 0 {
		t.Errorf("verify: %v, %d rows, want %d (%v, %v, damaged %d)", r, r.Rows, rows, err, r.Warnings, c.Audit.Stats().Damaged)
	}
}

// TestIDRemovedAndUsedAgainAtOnce (THREATS T5): by another process, before this one has
// heard of the removal. Nothing of the first practice is in the second, and neither
// log is damaged.
func TestIDRemovedAndUsedAgainAtOnce(t *testing.T) {
	o := options(t, "{}")
	tool := open(t, o)
	apply(t, tool, "harbour", "acacia")
	serving := open(t, o) // its feed does not run: it hears nothing
	add(t, serving, "first@harbour.test")
	for range 5 {
		note(t, serving, "harbour", "first")
	}
	serving.Audit.Note("harbour", audit.Event{Class: audit.Refusal, Action: "first_refused"})
	if err := serving.Audit.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tool.Directory.Remove(t.Context(), "harbour", author); err != nil {
		t.Fatal(err)
	}
	if err := tool.DB.Remove(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	next(t, tool)
	if n := people(t, serving); n != 0 {
		t.Errorf("the new practice has %d of the old one's people", n)
	}
	note(t, serving, "harbour", "second")
	note(t, tool, "harbour", "second")
	intact(t, serving, 3)
	intact(t, tool, 3)
	if got := actions(t, serving, "harbour"); got != "practice_created second second" {
		t.Errorf("the new log holds %s", got)
	}
}

// TestRemovalThatWasBrokenOff: the practice has left the directory, its database is in
// its place still. Whoever uses the id next does not get it, nor a summary of refusals
// that were counted before.
func TestRemovalThatWasBrokenOff(t *testing.T) {
	c := open(t, options(t, "{}"))
	apply(t, c, "harbour", "acacia")
	add(t, c, "first@harbour.test")
	for range 3 {
		c.Audit.Note("harbour", audit.Event{Class: audit.Refusal, Action: "first_refused"})
	}
	for actions(t, c, "harbour") != "first_refused" { // the first of them is written behind
		runtime.Gosched()
	}
	if err := c.Directory.Remove(t.Context(), "harbour", author); err != nil {
		t.Fatal(err)
	}
	next(t, c)
	if n := people(t, c); n != 0 {
		t.Errorf("the new practice has %d of the old one's people", n)
	}
	intact(t, c, 1)
}

// TestRemovedFilePutBackServesNobody: an earlier generation's file in the place of the
// present one's.
func TestRemovedFilePutBackServesNobody(t *testing.T) {
	o := options(t, "{}")
	c := open(t, o)
	apply(t, c, "harbour", "acacia")
	add(t, c, "first@harbour.test")
	if err := errors.Join(c.Directory.Remove(t.Context(), "harbour", author), c.DB.Remove(t.Context(), "harbour")); err != nil {
		t.Fatal(err)
	}
	next(t, c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	aside, err := filepath.Glob(filepath.Join(o.State, "removed", "harbour-*.db"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("put aside: %v %v", aside, err)
	}
	file := filepath.Join(o.State, "practices", "harbour.db")
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Remove(file + side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(aside[0], file); err != nil {
		t.Fatal(err)
	}
	c = open(t, o)
	if _, err := c.Accounts.List(t.Context(), "harbour"); !errors.Is(err, database.ErrSwapped) {
		t.Errorf("the people of the removed practice: got %v, want ErrSwapped", err)
	}
}
