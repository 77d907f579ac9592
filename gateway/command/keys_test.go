package command_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMasterKeyIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	state := filepath.Join(t.TempDir(), "new", "state")
	out := do(t, "", "keys", "init", "--state", state)
	file := filepath.Join(state, "master.key")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", err, info)
	}
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, strings.TrimSpace(string(key))) || !strings.Contains(out, file) {
		t.Errorf("it says %q: the file's name belongs there, the key does not", out)
	}
	refuses(t, 1, "exists already", "", "keys", "init", "--state", state)
	if after, _ := os.ReadFile(file); string(after) != string(key) {
		t.Error("the key was replaced")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, 1, "chmod 600", "", "practice", "list", "--state", state)
}

func TestSigningKeyIsPublishedBeforeItSigns(t *testing.T) {
	state := newState(t)
	got := doJSON(t, "keys", "rotate", "--state", state, "--reason", "yearly")
	if published := got["published"].([]any); got["rotated"] != true || len(published) != 2 || !slices.Contains(published, got["signs_now"]) {
		t.Errorf("got %v, want a second key published and the first one signing", got)
	}
	if again := doJSON(t, "keys", "rotate", "--state", state); again["rotated"] != false || again["signs_now"] != got["signs_now"] {
		t.Errorf("while one waits: %v", again)
	}
	for _, practice := range []string{"harbour", "acacia"} {
		if !slices.Contains(kinds(events(t, state, practice, 0)), "system/signing_key_rotated") {
			t.Errorf("the log of %s does not know of it", practice)
		}
	}
}

func TestMigrateOpensEveryDatabase(t *testing.T) {
	state := newState(t)
	if got := doJSON(t, "migrate", "--state", state); got["practices"] != 2.0 {
		t.Errorf("got %v, want 2 practices", got)
	}
	if err := os.WriteFile(filepath.Join(state, "practices", "harbour.db"), []byte("this is not a database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, 1, "harbour", "", "migrate", "--state", state)
}
