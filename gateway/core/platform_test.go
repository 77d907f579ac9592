package core_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/config"
	"clinicgate/gateway/core"
	"clinicgate/policy"
)

func platform(t *testing.T, text string) policy.Platform {
	t.Helper()
	p, err := config.DecodePlatform("platform.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAliasesComeAndGoWithThePlatformDocument: as reserved names, in the spelling that
// net/http compares.
func TestAliasesComeAndGoWithThePlatformDocument(t *testing.T) {
	c := open(t, options(t, "header_aliases: {remote-user: X-User-Email, REMOTE-MAIL: X-User-Email}"))
	if diff := cmp.Diff(map[string]bool{"Remote-User": true, "Remote-Mail": true}, c.ReservedAliases()); diff != "" {
		t.Errorf("reserved (-want +got):\n%s", diff)
	}
	if got := c.AliasesOf("X-User-Email"); len(got) != 2 {
		t.Errorf("aliases of X-User-Email: %q", got)
	}
	if err := c.SetPlatform(t.Context(), platform(t, "{}")); err != nil {
		t.Fatal(err)
	}
	if len(c.ReservedAliases()) != 0 || len(c.AliasesOf("X-User-Email")) != 0 {
		t.Errorf("aliases stay: %v, %q", c.ReservedAliases(), c.AliasesOf("X-User-Email"))
	}
}

// TestDefaultsOfWhatAnOperatorNames: both files stand in the state folder, unless they
// are named; a document that is named must be there.
func TestDefaultsOfWhatAnOperatorNames(t *testing.T) {
	state := t.TempDir()
	read := func(files core.Files) (string, string) {
		t.Helper()
		o, err := core.ReadOptions(files)
		if err != nil {
			return "", err.Error()
		}
		return o.MasterKey, ""
	}
	if _, err := read(core.Files{}); !strings.Contains(err, "state is missing") {
		t.Errorf("no state: %s", err)
	}
	if key, err := read(core.Files{State: state}); key != filepath.Join(state, "master.key") || err != "" {
		t.Errorf("only state: %s, %s", key, err)
	}
	if key, _ := read(core.Files{State: state, MasterKey: "/elsewhere/key"}); key != "/elsewhere/key" {
		t.Errorf("with a key: %s", key)
	}
	missing := filepath.Join(state, "elsewhere.yaml")
	if _, err := read(core.Files{State: state, Platform: missing}); !strings.Contains(err, missing) {
		t.Errorf("a document that is not there: %s", err)
	}
	beside := filepath.Join(state, "platform.yaml")
	if err := os.WriteFile(beside, []byte("floor: {idle: sometimes}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(core.Files{State: state}); !strings.Contains(err, beside+":1") {
		t.Errorf("a broken document in the state folder: %s", err)
	}
}
