package command_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplainSaysWhatTheGatewayDecides(t *testing.T) {
	state := newState(t)
	for name, c := range map[string]struct {
		args            []string
		verdict, reason string
	}{
		"nobody":                 {[]string{"--path", "/"}, "sign_in", "sign_in_needed"},
		"public":                 {[]string{"--path", "/booking/new?day=1"}, "allow", "public"},
		"a role without factor":  {[]string{"--path", "/", "--role", "clinician"}, "enrol", "enrol_second_factor"},
		"a role with both":       {[]string{"--path", "/", "--role", "clinician", "--level", "aal2"}, "allow", "signed_in"},
		"another role":           {[]string{"--path", "/billing/7", "--role", "clinician", "--level", "aal2"}, "deny", "rule_role_missing"},
		"a person":               {[]string{"--path", "/billing/7", "--user", "admin@harbour.test"}, "allow", "signed_in"},
		"a person with password": {[]string{"--path", "/", "--user", "clinician@harbour.test"}, "enrol", "enrol_second_factor"},
		"password only so far":   {[]string{"--path", "/", "--user", "admin@harbour.test", "--level", "aal1"}, "step_up", "second_factor_needed"},
		"proof too old": {[]string{"--path", "/prescriptions/7", "--method", "POST", "--user", "admin@harbour.test", "--proved-ago", "11m"},
			"step_up", "step_up_age"},
		"proof fresh": {[]string{"--path", "/prescriptions/7", "--method", "POST", "--user", "admin@harbour.test", "--proved-ago", "9m"},
			"allow", "signed_in"},
		"ambiguous path": {[]string{"--path", "/booking/..%2fbilling"}, "deny", "path_refused"},
		"method":         {[]string{"--path", "/", "--method", "TRACE", "--user", "admin@harbour.test"}, "deny", "method_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"policy", "explain", "--state", state, "-p", "harbour"}, c.args...)
			got := doJSON(t, args...)
			if got["verdict"] != c.verdict || got["reason"] != c.reason {
				t.Errorf("%v (%v), want %s (%s)", got["verdict"], got["reason"], c.verdict, c.reason)
			}
			if steps, _ := got["steps"].([]any); len(steps) == 0 || got["version"] != 1.0 || got["practice"] != "harbour" {
				t.Errorf("JSON lacks steps, version or practice: %v", got)
			}
			if out := do(t, "", args...); !strings.Contains(out, c.verdict+" ("+c.reason+"): ") {
				t.Errorf("text: %s", out)
			}
		})
	}
	refuses(t, 1, "has nobody with", "", "policy", "explain", "--state", state, "-p", "harbour", "--path", "/", "--user", "x@harbour.test")
	refuses(t, 1, `has no role "nurse"`, "", "policy", "explain", "--state", state, "-p", "harbour", "--path", "/", "--role", "nurse")
}

func TestHistoryAndDiffShowEveryVersion(t *testing.T) {
	state := newState(t)
	do(t, "", "practice", "apply", "--state", state, "-f", example(t, "harbour", "name: Harbour Family Practice", "name: Harbour"), "--reason", "short")
	do(t, "", "practice", "apply", "--state", state, "-f", example(t, "harbour", "max_age: 10m", "max_age: 5m"))
	history := doJSON(t, "policy", "history", "--state", state, "-p", "harbour")
	if versions := history["versions"].([]any); len(versions) != 3 || history["intact"] != true {
		t.Errorf("%d versions, intact: %v", len(versions), history["intact"])
	}
	if out := do(t, "", "policy", "history", "--state", state, "-p", "harbour"); !strings.Contains(out, "short") || strings.Count(out, "\n") != 4 {
		t.Errorf("table: %s", out)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"1", "2"}, "harbour, version 1 → 2\n  name: Harbour Family Practice → Harbour\n"},
		{[]string{"1", "1"}, "harbour, version 1 → 1\n  no difference\n"},
		{[]string{"2", "1"}, "harbour, version 2 → 1\n  name: Harbour → Harbour Family Practice\n"},
	} {
		if out := do(t, "", append([]string{"policy", "diff", "--state", state, "-p", "harbour"}, c.args...)...); out != c.want {
			t.Errorf("diff %v: %q, want %q", c.args, out, c.want)
		}
	}
	if out := do(t, "", "policy", "diff", "--state", state, "-p", "harbour"); !strings.HasPrefix(out, "harbour, version 2 → 3\n") {
		t.Errorf("diff: %s", out)
	}
	refuses(t, 1, "harbour has no version 9: the last one is 3", "", "policy", "diff", "1", "9", "--state", state, "-p", "harbour")
	do(t, "", "practice", "remove", "harbour", "--yes", "--state", state)
	if got := doJSON(t, "policy", "history", "--state", state, "-p", "harbour")["versions"].([]any); len(got) != 3 {
		t.Errorf("the history of a removed practice has %d versions", len(got))
	}
}

func TestSimulateNamesWhoWouldBeStopped(t *testing.T) {
	state := newState(t)
	// Now only clinicians may, so the admin would be stopped at /billing.
	next := example(t, "harbour", "roles: [billing, practice_admin]}", "roles: [clinician]}")
	got := doJSON(t, "policy", "simulate", "--state", state, "-p", "harbour", "-f", next)
	if got["stopped"] != 1.0 || got["tried"].(float64) < 6 {
		t.Fatalf("stopped %v of %v: %v", got["stopped"], got["tried"], got["cases"])
	}
	first := got["cases"].([]any)[0].(map[string]any)
	if first["effect"] != "stopped" || first["name"] != "admin@harbour.test" || first["path"] != "/billing/sample" {
		t.Errorf("first is %v", first)
	}
	out := do(t, "", "policy", "simulate", "--state", state, "-p", "harbour", "-f", next)
	if !strings.Contains(out, "1 would be stopped that are not stopped now") || !strings.Contains(out, "rule_role_missing") {
		t.Errorf("text: %s", out)
	}
	if doJSON(t, "practice", "show", "harbour", "--state", state)["version"] != 1.0 {
		t.Error("the simulation applied the document")
	}
}

func TestSimulateTriesTheCasesOfAFile(t *testing.T) {
	state := newState(t)
	next := example(t, "harbour", "stage: enforced", "stage: report")
	cases := write(t, "cases.yaml", `
- {name: clinician on the start page, roles: [clinician], path: /}
- {name: admin prescribes, user: admin@harbour.test, method: POST, path: /prescriptions/1, proved_ago: 1h}
- {name: visitor, path: /}
`)
	got := doJSON(t, "policy", "simulate", "--state", state, "-p", "harbour", "-f", next, "--cases", cases, "--all")
	effects := map[string]any{}
	for _, c := range got["cases"].([]any) {
		effects[c.(map[string]any)["name"].(string)] = c.(map[string]any)["effect"]
	}
	want := map[string]any{"clinician on the start page": "opened", "admin prescribes": "same", "visitor": "changed"} // a sign-in needs one factor less
	if diff := cmp.Diff(want, effects); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	if got["would_stop"] != 1.0 {
		t.Errorf("would_stop is %v, want 1", got["would_stop"])
	}
	for name, c := range map[string]struct{ text, want string }{
		"unknown field":  {"- {pth: /}", "field pth not found"},
		"no list":        {"path: /", "cannot unmarshal"},
		"empty":          {"", "holds no cases"},
		"no path":        {"- {user: admin@harbour.test}", "case 1: the path"},
		"unknown person": {"- {path: /}\n- {path: /, user: x@harbour.test}", "case 2: harbour has nobody with"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, 1, c.want, "", "policy", "simulate", "--state", state, "-p", "harbour", "-f", next, "--cases", write(t, "cases.yaml", c.text))
		})
	}
	refuses(t, 1, "the document is of practice acacia", "", "policy", "simulate", "--state", state, "-p", "harbour", "-f", example(t, "acacia"))
	refuses(t, 1, "no such file", "", "policy", "simulate", "--state", state, "-p", "harbour", "-f", filepath.Join(t.TempDir(), "x"))
}
