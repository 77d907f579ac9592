package database_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"clinicgate/gateway/database"
)

// childDir names the state folder to a child process of a test; childFirst the first row it writes.
const (
	childDir   = "CLINICGATE_TEST_CHILD_DIR"
	childFirst = "CLINICGATE_TEST_CHILD_FIRST"
)

// childMain writes rows for ever, from childFirst up, and prints the number of each that was acknowledged.
func childMain(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	s, err := database.OpenWith(ctx, database.Options{Dir: dir}, notes(), notes())
	if err != nil {
		fail(err)
	}
	first, err := strconv.ParseInt(os.Getenv(childFirst), 10, 64)
	if err != nil {
		fail(err)
	}
	for id := first; ; id++ {
		err := s.Practice("harbour").Write(ctx, func(tx *database.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO note (id, body) VALUES ($1, $2)", id, strings.Repeat("x", 500))
			return err
		})
		if err != nil {
			fail(err)
		}
		fmt.Println(id)
	}
}

// child is a running childMain.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	acked []int64
}

func startChild(t *testing.T, dir string, first int64) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprint(childFirst, "=", first))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	c.lines = bufio.NewScanner(out)
	return c
}

// read takes acknowledgements until there are n in all, or the child is gone when n is negative.
func (c *child) read(t *testing.T, n int) {
	t.Helper()
	for n < 0 || len(c.acked) < n {
		if !c.lines.Scan() {
			if n >= 0 {
				t.Fatalf("the child ended after %d rows", len(c.acked))
			}
			return
		}
		id, err := strconv.ParseInt(c.lines.Text(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		c.acked = append(c.acked, id)
	}
}

func TestKillNineLosesNoAcknowledgedRow(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, database.Options{Dir: dir})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	var acked []int64
	for round := range 5 {
		c := startChild(t, dir, int64(1+round*1_000_000))
		c.read(t, 20+round*13)
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.read(t, -1) // what it had acknowledged before it died
		acked = append(acked, c.acked...)
	}
	db := s.Practice("harbour")
	for _, id := range acked {
		if n := countWhere(t, db, id); n != 1 {
			t.Fatalf("row %d was acknowledged and is there %d times", id, n)
		}
	}
	var verdict string
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), "PRAGMA integrity_check").Scan(&verdict)
	})
	if err != nil || verdict != "ok" {
		t.Errorf("integrity: got %q, %v, want ok", verdict, err)
	}
}

func TestProcessesWriteSideBySide(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, database.Options{Dir: dir})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	a, b := startChild(t, dir, 1_000_000), startChild(t, dir, 2_000_000)
	const own = 50
	for id := range int64(own) {
		if err := put(t, s.Practice("harbour"), id, "mine"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*child{a, b} {
		c.read(t, 10)
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.read(t, -1)
	}
	least := int64(own + len(a.acked) + len(b.acked))
	if got := count(t, s.Practice("harbour")); got < least {
		t.Errorf("got %d rows, want at least %d", got, least)
	}
}

func countWhere(t *testing.T, db store, id int64) int64 {
	t.Helper()
	var n int64
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM note WHERE id = $1", id).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
