package command_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/vault"
)

func TestPeopleAreListedForPeopleAndForPrograms(t *testing.T) {
	state := newState(t)
	users := doJSON(t, "user", "list", "--state", state, "-p", "harbour")["users"].([]any)
	admin := users[0].(map[string]any)
	for _, name := range []string{"id", "created"} {
		if admin[name] == nil || admin[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(admin, name)
	}
	want := map[string]any{"practice": "harbour", "email": "admin@harbour.test", "name": "Admin", "roles": []any{"practice_admin"},
		"disabled": false, "has_password": true, "has_totp": true}
	if diff := cmp.Diff(want, admin); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	out := do(t, "", "user", "list", "--state", state, "-p", "harbour")
	wantText := "E-MAIL                  NAME       ROLES           SIGNS IN WITH                STATE\n" +
		"admin@harbour.test      Admin      practice_admin  password, authenticator app  active\n" +
		"clinician@harbour.test  Clinician  clinician       password                     active\n"
	if diff := cmp.Diff(wantText, out); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if out := do(t, "", "user", "list", "--state", state, "-p", "acacia"); !strings.Contains(out, "There is nobody yet") {
		t.Errorf("an empty practice: %q", out)
	}
}

func TestPersonWhoCannotBeAddedLeavesNoTrace(t *testing.T) {
	state := newState(t)
	before := len(events(t, state, "harbour", 0))
	add := func(email, role string) []string {
		return []string{"user", "add", "--state", state, "-p", "harbour", "--email", email, "--name", "X", "--role", role, "--password-file", "-"}
	}
	long := "a long enough phrase 4 you\n"
	refuses(t, 1, "already has a person with that e-mail address", long, add("Admin@Harbour.test", "clinician")...)
	refuses(t, 1, `harbour has no role "clinican" (did you mean clinician?): its policy has practice_admin`, long, add("x@harbour.test", "clinican")...)
	refuses(t, 1, "it must have exactly one @", long, add("x@@harbour.test", "clinician")...)
	refuses(t, 1, "standard input is empty", "\n", add("x@harbour.test", "clinician")...)
	refuses(t, 1, "more than one line", "one\ntwo\n", add("x@harbour.test", "clinician")...)
	refuses(t, 1, "larger than 4 KiB", strings.Repeat("x", 5<<10), add("x@harbour.test", "clinician")...)
	if got := events(t, state, "harbour", before); len(got) > 0 {
		t.Errorf("recorded: %v", kinds(got))
	}
	// That a password is too weak is known when it has been looked at, after the record: then the record is called off.
	refuses(t, 1, "password", "harbour1\n", add("x@harbour.test", "clinician")...)
	if diff := cmp.Diff([]string{"person/person_added", "person/change_failed"}, kinds(events(t, state, "harbour", before))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := doJSON(t, "user", "list", "--state", state, "-p", "harbour")["users"].([]any); len(got) != 2 {
		t.Errorf("%d people, want 2", len(got))
	}
}

// Secrets reach neither output, nor log, nor any file of the state in plain text
// (THREATS A5). The authenticator's key is shown once.
func TestSecretsAreNeitherPrintedNorStoredReadable(t *testing.T) {
	state := newState(t)
	const password = "canary saffron jetty 29 orchard"
	file := write(t, "password", password+"\r\n")
	added := run(t, "", "user", "add", "--state", state, "-p", "harbour", "--email", "b@harbour.test", "--name", "B",
		"--role", "billing", "--password-file", file, "--totp", "--json")
	_, rest, found := strings.Cut(added.out, `"totp_secret": "`)
	if added.code != 0 || !found || !strings.Contains(added.out, `"totp_uri": "otpauth://totp/`) {
		t.Fatalf("adding: exit %d\n%s", added.code, added)
	}
	secret, _, _ := strings.Cut(rest, `"`)
	if strings.Contains(added.String(), password) {
		t.Error("add prints the password")
	}
	for _, args := range [][]string{
		{"user", "show", "b@harbour.test", "-p", "harbour"}, {"user", "list", "-p", "harbour", "--json"},
		{"audit", "export", "-p", "harbour"}, {"audit", "tail", "-p", "harbour"}, {"practice", "export", "harbour"},
		{"user", "reset-factors", "b@harbour.test", "-p", "harbour"},
	} {
		if out := run(t, "", append(args, "--state", state)...).String(); strings.Contains(out, password) || strings.Contains(out, secret) {
			t.Errorf("gateway %v prints a secret", args)
		}
	}
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, canary := range []string{password, adminPassword, secret} {
			if bytes.Contains(data, []byte(canary)) {
				t.Errorf("%s holds a secret in plain text", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPasswordIsTakenAndAppIsReady(t *testing.T) {
	state := newState(t)
	c := open(t, state)
	who, err := c.Accounts.CheckPassword(t.Context(), "harbour", "admin@harbour.test", vault.NewSecret(adminPassword))
	if err != nil || !who.HasTOTP {
		t.Fatalf("signing in: %v, with app: %v", err, who.HasTOTP)
	}
	const next = "another violet harbour 71 lantern"
	do(t, next, "user", "password", "admin@harbour.test", "--state", state, "-p", "harbour", "--password-file", "-", "--reason", "forgotten")
	if _, err := c.Accounts.CheckPassword(t.Context(), "harbour", "admin@harbour.test", vault.NewSecret(adminPassword)); err == nil {
		t.Error("the old password still works")
	}
	if _, err := c.Accounts.CheckPassword(t.Context(), "harbour", "admin@harbour.test", vault.NewSecret(next)); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestChangesOfPeopleAreRecordedWithTheirClass(t *testing.T) {
	state := newState(t)
	in := func(args ...string) []string {
		return append(args, "clinician@harbour.test", "--state", state, "-p", "harbour")
	}
	for _, c := range []struct {
		args []string
		want []string
		show string
	}{
		{in("user", "roles", "--role", "reception", "--role", "billing"), []string{"person/roles_changed"}, "billing, reception"},
		{in("user", "disable", "--reason", "left"), []string{"person/person_disabled"}, "disabled"},
		{in("user", "enable"), []string{"person/person_enabled"}, "active"},
		{in("user", "reset-factors", "--reason", "lost phone"), []string{"second_factor/factors_reset"}, "password\n"},
	} {
		before := len(events(t, state, "harbour", 0))
		if out := do(t, "", c.args...); !strings.Contains(out, c.show) {
			t.Errorf("%v shows %q, want %q in it", c.args[:2], out, c.show)
		}
		if diff := cmp.Diff(c.want, kinds(events(t, state, "harbour", before))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.args[:2], diff)
		}
	}
	refuses(t, 1, "harbour has nobody with the e-mail address or id nobody@harbour.test", "",
		"user", "disable", "nobody@harbour.test", "--state", state, "-p", "harbour")
	refuses(t, 1, "has nobody with", "", "user", "disable", "admin@harbour.test", "--state", state, "-p", "acacia")
}

func TestLastAdminStaysUnlessItIsSpelledOut(t *testing.T) {
	state := newState(t)
	before := len(events(t, state, "harbour", 0))
	disable := []string{"user", "disable", "admin@harbour.test", "--state", state, "-p", "harbour"}
	refuses(t, 1, "last active practice_admin", "", disable...)
	recorded := events(t, state, "harbour", before)
	if diff := cmp.Diff([]string{"person/person_disabled", "person/change_failed"}, kinds(recorded)); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	if detail := recorded[1]["detail"].(map[string]any); detail["change"] != "person_disabled" {
		t.Errorf("the second record is about %v", detail)
	}
	refuses(t, 1, "last active practice_admin", "", "user", "roles", "admin@harbour.test", "--role", "clinician", "--state", state, "-p", "harbour")
	do(t, "", append(disable, "--even-last-admin")...)
}

// Names of every script line up, whatever the width of their characters.
func TestTablesLineUpForEveryScript(t *testing.T) {
	state := newState(t)
	do(t, "correct horse battery staple 91\n", "user", "add", "--state", state, "-p", "harbour", "--email", "z@harbour.test", "--name", "\u65e5\u672c \u592a\u90ce",
		"--role", "clinician", "--password-file", "-")
	out := do(t, "", "user", "list", "--state", state, "-p", "harbour")
	lines := strings.Split(out, "\n")
	column := strings.Index(lines[0], "ROLES")
	for _, line := range lines {
		before, _, found := strings.Cut(line, "clinician")
		if found && strings.Contains(line, "\u65e5\u672c") && lipgloss.Width(before) != column {
			t.Errorf("the roles begin in column %d, want %d:\n%s", lipgloss.Width(before), column, out)
		}
	}
	if !strings.Contains(out, "\u65e5\u672c \u592a\u90ce") {
		t.Errorf("the name is missing:\n%s", out)
	}
}
