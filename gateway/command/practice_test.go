package command_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/config"
)

func TestInvalidDocumentIsRefusedWithFileLineReasonAndRemedy(t *testing.T) {
	state := newState(t)
	before := do(t, "", "practice", "export", "harbour", "--state", state)
	bad := example(t, "harbour", "stage: enforced", "stage: enforcd")
	refuses(t, 1, bad+`:10: sign_in.second_factor.stage: "enforcd" is not one of off, report, grace, enforced (did you mean enforced?)`, "",
		"practice", "apply", "--state", state, "-f", bad)
	refuses(t, 1, "nothing was applied, the policy in force stays: ", "", "practice", "apply", "--state", state, "-f", bad)
	refuses(t, 1, "no such file", "", "practice", "apply", "--state", state, "-f", filepath.Join(t.TempDir(), "none.yaml"))
	refuses(t, 1, "larger than 1024 KiB", strings.Repeat("#", 1<<20+1), "practice", "apply", "--state", state, "-f", "-")
	if after := do(t, "", "practice", "export", "harbour", "--state", state); after != before {
		t.Error("the policy in force changed")
	}
	if got := kinds(events(t, state, "harbour", 0)); slices.Contains(got, "policy/policy_applied") {
		t.Errorf("the log says %v although nothing was applied", got)
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	state := newState(t)
	good := example(t, "acacia", "name: Acacia Clinic", "name: Acacia Medical")
	for name, c := range map[string]struct{ bad, want string }{
		"a bad document":        {example(t, "harbour", "timezone: Australia/Sydney", "timezone: Australia/Sidney"), "timezone"},
		"another's host":        {example(t, "harbour", "harbour.localhost", "acacia.localhost"), "acacia.localhost is a host of practice acacia"},
		"the same practice":     {example(t, "acacia"), "is another document of practice acacia: leave one of them out"},
		"a practice beside it ": {example(t, "banksia", "banksia.localhost", "harbour.localhost"), "banksia.yaml:5: hosts[0]: harbour.localhost is a host of practice harbour"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, 1, c.want, "", "practice", "apply", "--state", state, "-f", good, "-f", c.bad)
			refuses(t, 1, c.bad, "", "practice", "apply", "--state", state, "-f", good, c.bad)
		})
	}
	if got := doJSON(t, "practice", "show", "acacia", "--state", state); got["name"] != "Acacia Clinic" || got["version"] != 1.0 {
		t.Errorf("acacia is %v version %v, want it as it was", got["name"], got["version"])
	}
	if found, _ := filepath.Glob(filepath.Join(state, "practices", "banksia*")); len(found) > 0 {
		t.Error("a refused practice left a database behind")
	}
}

func TestDryRunShowsTheDiffAndChangesNothing(t *testing.T) {
	state := newState(t)
	file := example(t, "harbour", "name: Harbour Family Practice", "name: Harbour Practice")
	out := do(t, "", "practice", "apply", "--state", state, "-f", file, "--dry-run")
	want := "harbour: would become version 2.\n  name: Harbour Family Practice → Harbour Practice\nDry run: nothing was changed.\n"
	if out != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
	do(t, "", "practice", "apply", "--state", state, "-f", example(t, "banksia"), "--dry-run")
	if got := doJSON(t, "practice", "list", "--state", state)["practices"].([]any); len(got) != 2 {
		t.Errorf("a dry run made a practice: %v", got)
	}
	if found, _ := filepath.Glob(filepath.Join(state, "practices", "banksia*")); len(found) > 0 {
		t.Error("a dry run made a database")
	}
	if got := events(t, state, "harbour", 3); len(got) > 0 && slices.Contains(kinds(got), "policy/policy_applied") {
		t.Errorf("a dry run was recorded: %v", kinds(got))
	}
}

func TestAppliedPolicyIsRecordedWithWhoWhyAndWhat(t *testing.T) {
	state := newState(t)
	before := len(events(t, state, "harbour", 0))
	file := example(t, "harbour", "name: Harbour Family Practice", "name: Harbour Practice")
	got := doJSON(t, "practice", "apply", "--state", state, "-f", file, "--reason", "new sign")
	applied := got["applied"].([]any)[0].(map[string]any)
	delete(applied, "hash")
	want := map[string]any{"practice": "harbour", "file": file, "version": 2.0, "changed": true, "created": false,
		"diff": []any{"name: Harbour Family Practice → Harbour Practice"}}
	if diff := cmp.Diff(want, applied); diff != "" || got["dry_run"] != false {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	recorded := events(t, state, "harbour", before)
	if diff := cmp.Diff([]string{"policy/policy_applied"}, kinds(recorded)); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	detail := recorded[0]["detail"].(map[string]any)
	if detail["why"] != "new sign" || detail["version"] != "2" || !strings.Contains(detail["changes"].(string), "Harbour Practice") {
		t.Errorf("detail is %v", detail)
	}
	if actor := recorded[0]["actor"].(string); !strings.HasPrefix(actor, "cli:") || actor == "cli:" {
		t.Errorf("actor is %q", actor)
	}
	last := doJSON(t, "policy", "history", "--state", state, "-p", "harbour")["versions"].([]any)[1].(map[string]any)
	if last["why"] != "new sign" || last["who"] != recorded[0]["actor"] {
		t.Errorf("history says %v", last)
	}
	if out := do(t, "", "practice", "apply", "--state", state, "-f", file); out != "harbour: no change, version 2 stays in force.\n" {
		t.Errorf("applied again it says %q", out)
	}
	if got := events(t, state, "harbour", before+1); len(got) > 0 {
		t.Errorf("no change was recorded as %v", kinds(got))
	}
}

func TestExportIsWhatApplyTakesBack(t *testing.T) {
	state := newState(t)
	for _, flag := range []string{"--json=false", "--json"} {
		text := do(t, "", "practice", "export", "harbour", "--state", state, flag)
		if _, err := config.DecodeDocument("export", []byte(text)); err != nil {
			t.Errorf("%s: %v", flag, err)
		}
		if out := do(t, text, "practice", "apply", "--state", state, "-f", "-"); !strings.Contains(out, "no change") {
			t.Errorf("%s: applied again it says %q", flag, out)
		}
	}
}

func TestSuspendAndResumeAreRecordedOnceAndBeforehand(t *testing.T) {
	state := newState(t)
	before := len(events(t, state, "harbour", 0))
	do(t, "", "practice", "suspend", "harbour", "--state", state, "--reason", "unpaid")
	if got := doJSON(t, "practice", "show", "harbour", "--state", state); got["state"] != "suspended" || got["why"] != "unpaid" {
		t.Errorf("it is %v because %v", got["state"], got["why"])
	}
	if got := doJSON(t, "practice", "suspend", "harbour", "--state", state); got["changed"] != false {
		t.Errorf("suspended twice: %v", got)
	}
	do(t, "", "practice", "resume", "harbour", "--state", state)
	want := []string{"policy/practice_suspended", "policy/practice_resumed"}
	if diff := cmp.Diff(want, kinds(events(t, state, "harbour", before))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	refuses(t, 1, "there is no practice harbor (did you mean harbour?)", "", "practice", "suspend", "harbor", "--state", state)
}

// What cannot be recorded must not happen (THREATS A4).
func TestChangeThatCannotBeRecordedIsNotMade(t *testing.T) {
	state := newState(t)
	if err := os.Remove(filepath.Join(state, "practices", "harbour.db")); err != nil {
		t.Fatal(err)
	}
	refuses(t, 1, "nothing was changed, because it could not be recorded", "", "practice", "suspend", "harbour", "--state", state)
	if got := doJSON(t, "practice", "show", "harbour", "--state", state); got["state"] != "served" {
		t.Errorf("it is %v", got["state"])
	}
	do(t, "", "practice", "remove", "harbour", "--yes", "--state", state) // there is no log that it could be recorded in
	if got := doJSON(t, "practice", "show", "harbour", "--state", state); got["state"] != "removed" {
		t.Errorf("it is %v", got["state"])
	}
}

func TestRemovedPracticeBeginsEmptyWhenItsIdIsUsedAgain(t *testing.T) {
	state := newState(t)
	do(t, "", "practice", "remove", "harbour", "--yes", "--state", state, "--reason", "closed")
	if found, _ := filepath.Glob(filepath.Join(state, "removed", "harbour-*.db")); len(found) != 1 {
		t.Fatalf("put aside: %v, want one database", found)
	}
	refuses(t, 1, "there is no practice harbour", "", "user", "list", "--state", state, "-p", "harbour")
	refuses(t, 1, "harbour was removed already", "", "practice", "remove", "harbour", "--yes", "--state", state)
	refuses(t, 1, "there is no practice banksia", "", "practice", "remove", "banksia", "--yes", "--state", state)
	do(t, "", "practice", "apply", "--state", state, "-f", example(t, "harbour"))
	if got := doJSON(t, "user", "list", "--state", state, "-p", "harbour")["users"].([]any); len(got) != 0 {
		t.Errorf("people of the removed practice are back: %v (THREATS T5)", got)
	}
	do(t, "", "audit", "verify", "--state", state, "--all")
	if got := doJSON(t, "policy", "history", "--state", state, "-p", "harbour")["versions"].([]any); len(got) != 2 {
		t.Errorf("the history has %d versions, want both generations", len(got))
	}
}
