package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/gateway/core"
	"clinicgate/gateway/database"
)

// restored is a backup made a state folder again: with the key beside it.
func restored(t *testing.T, backup, state string) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(state, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(backup, "master.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	return backup
}

func TestBackupIsProvedAndIsAStateFolder(t *testing.T) {
	state := newState(t)
	open(t, state) // a gateway that serves
	dir := filepath.Join(t.TempDir(), "backup")
	got := doJSON(t, "backup", dir, "--state", state)
	if got["backup"] != dir || got["practices"] != 2.0 || got["intact"] != true || len(got["logs"].([]any)) != 2 {
		t.Errorf("got %v", got)
	}
	refuses(t, 1, "is there already", "", "backup", dir, "--state", state)
	refuses(t, 1, "the master key", "", "practice", "list", "--state", dir) // which is kept apart
	restored(t, dir, state)
	do(t, "", "practice", "suspend", "harbour", "--state", dir)
	do(t, "", "audit", "verify", "--all", "--state", dir)
	for _, in := range []string{state, dir} {
		if out := do(t, "", "user", "list", "-p", "harbour", "--state", in); strings.Count(out, "@harbour.test") != 2 {
			t.Errorf("%s: the people are %s", in, out)
		}
	}
}

func TestBackupOfADamagedLogSaysSo(t *testing.T) {
	state := newState(t)
	damage(t, state)
	dir := filepath.Join(t.TempDir(), "backup")
	o := run(t, "", "backup", dir, "--state", state)
	if o.code != 1 || !strings.Contains(o.err, "the log of harbour is not intact") {
		t.Errorf("exit %d\n%s", o.code, o)
	}
	restored(t, dir, state)
	do(t, "", "audit", "verify", "-p", "acacia", "--state", dir)
}

// damage alters a record of harbour's log.
func damage(t *testing.T, state string) {
	t.Helper()
	set, err := database.Open(t.Context(), database.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	err = set.Practice("harbour").Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE audit_event SET at = at + 1 WHERE seq = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFrozenStateIsNotServedAndTakenBack(t *testing.T) {
	state := newState(t)
	refuses(t, 1, "is not frozen", "", "migrate", "--abandon", "--yes", "--state", state)
	serving := open(t, state)
	if err := serving.DB.Freeze(t.Context(), database.Frozen{At: serving.Now(), To: "/etc/clinicgate/cluster.yaml"}); err != nil {
		t.Fatal(err)
	}
	refuses(t, 1, "the state is frozen", "", "practice", "suspend", "harbour", "--state", state)
	do(t, "", "practice", "list", "--state", state)
	options, err := core.ReadOptions(core.Files{State: state})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := core.Open(t.Context(), options); err == nil {
		t.Error("a frozen folder is served from", c.Close())
	} else if !strings.Contains(err.Error(), "cluster /etc/clinicgate/cluster.yaml") || !strings.Contains(err.Error(), "migrate --abandon") {
		t.Errorf("serving from a frozen folder: got %v, want what to do", err)
	}
	refuses(t, 2, "give --yes if you are sure", "", "migrate", "--abandon", "--state", state)
	if got := doJSON(t, "migrate", "--abandon", "--yes", "--state", state, "--reason", "not tonight"); got["frozen"] != false {
		t.Errorf("got %v", got)
	}
	if log := kinds(events(t, state, "harbour", 0)); log[len(log)-1] != "system/state_move_abandoned" {
		t.Errorf("the log of harbour: %v", log)
	}
	do(t, "", "practice", "suspend", "harbour", "--state", state)
}
