package command_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tamper runs a statement on a practice's database behind the gateway's back.
func tamper(t *testing.T, state, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(state, "practices", "harbour.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyNamesTheFirstBadRow(t *testing.T) {
	state := newState(t)
	if got := doJSON(t, "audit", "verify", "--state", state, "--all"); got["intact"] != true || len(got["logs"].([]any)) != 2 {
		t.Errorf("untouched: %v", got)
	}
	tamper(t, state, `UPDATE audit_event SET actor = 'cli:nobody' WHERE seq = 2`)
	for _, args := range [][]string{{"-p", "harbour"}, {"--all"}, {"-p", "harbour", "--json"}} {
		o := run(t, "", append([]string{"audit", "verify", "--state", state}, args...)...)
		if o.code != 1 || !strings.Contains(o.err, "the log of harbour is not intact, the first bad row is 2: ") {
			t.Errorf("verify %v: exit %d, says %q", args, o.code, o.err)
		}
	}
	do(t, "", "audit", "verify", "--state", state, "-p", "acacia")
	var report struct {
		Intact bool
		Logs   []struct {
			Practice string
			Findings []struct {
				Kind string
				Row  int64
			}
		}
	}
	o := run(t, "", "audit", "verify", "--state", state, "-p", "harbour", "--json")
	if err := json.Unmarshal([]byte(o.out), &report); err != nil || report.Intact || report.Logs[0].Findings[0].Kind != "altered" {
		t.Errorf("JSON: %v: %s", err, o.out)
	}
}

func TestLogThatCannotBeReadIsNotIntact(t *testing.T) {
	state := newState(t)
	if err := os.Remove(filepath.Join(state, "practices", "harbour.db")); err != nil {
		t.Fatal(err)
	}
	o := run(t, "", "audit", "verify", "--state", state, "--all")
	if o.code != 1 || !strings.Contains(o.err, "the log of harbour could not be read") || !strings.Contains(o.out, "The log of acacia is intact") {
		t.Errorf("exit %d\n%s", o.code, o)
	}
}

func TestExportIsCompletePrivateAndReplacesNothing(t *testing.T) {
	state := newState(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "log.csv")
	do(t, "", "audit", "export", "--state", state, "-p", "harbour", "--format", "csv", "-o", file)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, mode %v", err, info.Mode())
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 1+len(events(t, state, "harbour", 0)) {
		t.Errorf("%d rows: %v", len(rows), err)
	}
	refuses(t, 1, "exists already and is left as it is", "", "audit", "export", "--state", state, "-p", "harbour", "-o", file)
	refuses(t, 1, "making the file", "", "audit", "export", "--state", state, "-p", "harbour", "-o", filepath.Join(folder, "no", "log"))
	if left, _ := filepath.Glob(filepath.Join(folder, ".export-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestExportTakesARangeOfTime(t *testing.T) {
	state := newState(t)
	count := func(args ...string) int {
		out := do(t, "", append([]string{"audit", "export", "--state", state, "-p", "harbour"}, args...)...)
		return strings.Count(out, "\n")
	}
	all := len(events(t, state, "harbour", 0))
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, all}, {[]string{"--since", "7d"}, all}, {[]string{"--since", "2020-01-01", "--until", "2020-02-01"}, 0},
		{[]string{"--until", "24h"}, 0}, {[]string{"--since", "2020-01-01T00:00:00Z"}, all}, {[]string{"--since", "2020-01-01 08:30"}, all},
	} {
		if got := count(c.args...); got != c.want {
			t.Errorf("export %v: %d records, want %d", c.args, got, c.want)
		}
	}
}

func TestTailFollowsWhatOtherProcessesWrite(t *testing.T) {
	state := newState(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "audit", "tail", "--follow", "-n", "1", "--json", "--state", state, "-p", "harbour")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("no first record")
	}
	do(t, "", "practice", "suspend", "harbour", "--state", state)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"action":"practice_suspended"`) {
		t.Errorf("followed with %q", lines.Text())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C is how following ends, but it exits with: %v", err)
	}
}

// What others wrote into names must not move the cursor of whoever reads (THREATS A3).
func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	state := newState(t)
	o := run(t, "", "practice", "suspend", "harbour", "--state", state, "--reason", "a\x1b[2Jb\nc")
	out := o.String() + do(t, "", "audit", "tail", "--state", state, "-p", "harbour") + do(t, "", "practice", "show", "harbour", "--state", state)
	if strings.Contains(out, "\x1b") || !strings.Contains(out, `a\x1b[2Jb\nc`) {
		t.Errorf("got %q", out)
	}
}
