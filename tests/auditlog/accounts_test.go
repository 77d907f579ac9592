package auditlog_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// A reviewer sees which account is attacked, whether there is one of that name or not,
// from the record of each wrong password and of each budget that ran out. The log does
// not hold what was typed.
func TestAttackedAccountIsNamed(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	who := p.Account("clinician")
	try := func(from, email string) harness.Answer {
		t.Helper()
		return probe.Send(t, probe.Client(t, g, from), probe.Form(p, "/.gate/login", url.Values{"email": {email}, "password": {"wrong-password-0000"}}))
	}
	spellings := []string{who.Email, " " + strings.ToUpper(who.Email)}
	for i := range 40 {
		if try("127.0.9.1", spellings[i%2]).StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	try("127.0.9.2", "nobody-here@acacia.test")
	try("127.0.9.2", "Nobody-Here@acacia.test")
	try("127.0.9.2", "my-password-in-the-wrong-field")
	probe.Audited(t, g, "acacia", "limited")

	person := probe.Must(t, g, "user", "list", "--practice", "acacia", "--json")
	byTag := map[string][]probe.Record{}
	for _, r := range probe.Audit(t, g, "acacia") {
		if r.Action == "password_refused" || r.Action == "limited" {
			byTag[r.Detail["account"]] = append(byTag[r.Detail["account"]], r)
		}
	}
	if len(byTag) != 3 || byTag[""] != nil {
		t.Fatalf("%d accounts are told apart, want 3: %v", len(byTag), byTag)
	}
	for tag, records := range byTag {
		known, limited := "", 0
		for _, r := range records {
			if r.Actor != "" {
				t.Errorf("%s: nobody knows who typed it, the log says %q", tag, r.Actor)
			}
			if r.Action == "limited" {
				limited++
			} else {
				known = r.Subject
			}
		}
		switch {
		case known == "" && (len(records) > 2 || limited > 0):
			t.Errorf("an address that nobody has: %+v", records)
		case known != "" && (limited == 0 || !strings.Contains(person, known)):
			t.Errorf("the attacked account: %+v", records)
		}
	}
	for _, typed := range []string{who.Email, "nobody-here", "my-password"} {
		if text := probe.Must(t, g, "audit", "export", "--practice", "acacia", "--format", "jsonl"); strings.Contains(strings.ToLower(text), typed) {
			t.Errorf("the log holds %q", typed)
		}
	}
}

// The record of a sign-in names the session that it opens, as lists and the backend do.
func TestSignInNamesItsSession(t *testing.T) {
	t.Parallel()
	p := probe.Open(t, gate, "naming", "naming.localhost")
	who := probe.Add(t, gate, "naming", "named", "clinician", false)
	cookie, _ := probe.Cookie(signIn(t, gate, p, who, ""), probe.Session)
	info := probe.Send(t, probe.Client(t, gate, ""), probe.Page(p, "/.gate/session", probe.Session+"="+cookie)).JSON(t)
	if got := probe.Audited(t, gate, "naming", "signed_in").Detail["session"]; got == "" || got != info["session_id"] {
		t.Errorf("the log names session %q, it is %v", got, info["session_id"])
	}
}
