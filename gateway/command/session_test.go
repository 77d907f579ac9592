package command_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/core"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// signIn makes a session as the sign-in pages do, and returns its id.
func signIn(t *testing.T, c *core.Core, email string) string {
	t.Helper()
	who, err := c.Accounts.ByEmail(t.Context(), "harbour", email)
	if err != nil {
		t.Fatal(err)
	}
	in := session.SignIn{User: who.ID, AMR: []string{"pwd"}, Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		Addr: netip.MustParseAddr("192.0.2.7")}
	in.ProvedAt[policy.AAL1] = c.Now()
	_, live, err := c.Sessions.Create(context.Background(), core.SessionLimits(c.Directory.ByID("harbour")), in)
	if err != nil {
		t.Fatalf("signing in: %v", err)
	}
	return live.ID().String()
}

func TestSessionsAreListedWithoutAnythingThatOpensThem(t *testing.T) {
	state := newState(t)
	id := signIn(t, open(t, state), "clinician@harbour.test")
	got := doJSON(t, "session", "list", "--state", state, "-p", "harbour")["sessions"].([]any)
	if len(got) != 1 {
		t.Fatalf("%d sessions, want 1", len(got))
	}
	s := got[0].(map[string]any)
	for _, name := range []string{"user_id", "created", "last_seen"} {
		if s[name] == nil {
			t.Errorf("%s is missing", name)
		}
		delete(s, name)
	}
	want := map[string]any{"id": id, "email": "clinician@harbour.test", "level": "aal1", "methods": []any{"pwd"},
		"address": "192.0.2.7", "device": "Firefox on Linux"}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if out := do(t, "", "session", "list", "--state", state, "-p", "harbour", "--user", "admin@harbour.test"); out != "Nobody is signed in.\n" {
		t.Errorf("of the admin: %q", out)
	}
	if out := do(t, "", "session", "list", "--state", state, "-p", "harbour"); !strings.Contains(out, id+"  clinician@harbour.test  aal1") {
		t.Errorf("table: %q", out)
	}
}

func TestRevocationEndsWhatItNamesAndIsRecorded(t *testing.T) {
	state := newState(t)
	c := open(t, state)
	first, second := signIn(t, c, "clinician@harbour.test"), signIn(t, c, "clinician@harbour.test")
	signIn(t, c, "admin@harbour.test")
	before := len(events(t, state, "harbour", 0))
	in := func(args ...string) []string {
		return append([]string{"session", "revoke", "--state", state, "-p", "harbour"}, args...)
	}
	left := func() int {
		return len(doJSON(t, "session", "list", "--state", state, "-p", "harbour")["sessions"].([]any))
	}
	for _, step := range []struct {
		args []string
		want string
		left int
	}{
		{in(first), "1 session ended.\n", 2},
		{in("--user", "clinician@harbour.test"), "1 session ended.\n", 1},
		{in("--all", "--reason", "stolen laptop"), "1 session ended.\n", 0},
		{in("--all"), "0 sessions ended.\n", 0},
	} {
		if out := do(t, "", step.args...); out != step.want || left() != step.left {
			t.Errorf("%v: says %q with %d left, want %q with %d", step.args[5:], out, left(), step.want, step.left)
		}
	}
	refuses(t, 1, "harbour has no session "+second, "", in(second)...)
	recorded := events(t, state, "harbour", before)
	want := []string{"session/revoked", "session/revoked", "session/revoked", "session/revoked", "session/revoked", "session/change_failed"}
	if diff := cmp.Diff(want, kinds(recorded)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if detail := recorded[2]["detail"].(map[string]any); detail["why"] != "stolen laptop" || detail["scope"] != "all" {
		t.Errorf("revoke --all is recorded with %v", detail)
	}
}

// A session of one practice cannot be ended through another (THREATS T3).
func TestRevocationStaysInItsPractice(t *testing.T) {
	state := newState(t)
	id := signIn(t, open(t, state), "clinician@harbour.test")
	refuses(t, 1, "acacia has no session", "", "session", "revoke", id, "--state", state, "-p", "acacia")
	do(t, "", "session", "revoke", "--all", "--state", state, "-p", "acacia")
	if got := doJSON(t, "session", "list", "--state", state, "-p", "harbour")["sessions"].([]any); len(got) != 1 {
		t.Error("the session of harbour is gone")
	}
}

func TestNewPasswordEndsTheSessionsOfItsOwner(t *testing.T) {
	state := newState(t)
	c := open(t, state)
	signIn(t, c, "clinician@harbour.test")
	signIn(t, c, "admin@harbour.test")
	o := run(t, "a fresh amber paddock 38\n", "user", "password", "clinician@harbour.test", "--state", state, "-p", "harbour", "--password-file", "-")
	if o.code != 0 || !strings.Contains(o.err, "1 session ended.") {
		t.Errorf("exit %d: %s", o.code, o)
	}
	if got := doJSON(t, "session", "list", "--state", state, "-p", "harbour")["sessions"].([]any); len(got) != 1 {
		t.Errorf("%d sessions left, want the admin's", len(got))
	}
}
