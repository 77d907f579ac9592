package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/policy"
)

func TestPracticeIDs(t *testing.T) {
	for _, good := range []string{"harbour", "a1", "a-b", strings.Repeat("a", 40)} {
		if id, err := policy.ParsePracticeID(good); err != nil || string(id) != good {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a", "-ab", "ab-", "Ab", "a_b", "a.b", "a/b", "..", "ä1", "a\x00b", strings.Repeat("a", 41)} {
		if id, err := policy.ParsePracticeID(bad); err == nil || id != "" {
			t.Errorf("%q was taken for a practice id", bad)
		}
	}
}

func TestLevelsReadWhatTheyWrite(t *testing.T) {
	for _, l := range []policy.Level{policy.AAL1, policy.AAL2, policy.AAL2PR} {
		if got, err := policy.ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("%s: got %s, %v", l, got, err)
		}
	}
	for _, bad := range []string{"", "none", "AAL2", "aal3", "aal2-pr "} {
		if got, err := policy.ParseLevel(bad); err == nil || got != policy.LevelNone {
			t.Errorf("%q was taken for %s", bad, got)
		}
	}
	if _, err := policy.Level(7).MarshalText(); err == nil {
		t.Error("level 7 has a name")
	}
}

func TestStagesAreOrdered(t *testing.T) {
	order := []policy.Stage{"", policy.Off, policy.Report, policy.Grace, policy.Enforced}
	for i, a := range order {
		for j, b := range order {
			if a.Weaker(b) != (i < j) {
				t.Errorf("%q weaker than %q: got %v", a, b, a.Weaker(b))
			}
		}
	}
}

func TestDurationsReadWhatTheyWrite(t *testing.T) {
	for text, want := range map[string]time.Duration{"15m": 15 * time.Minute, "12h": 12 * time.Hour, "0s": 0, "1h30m": 90 * time.Minute,
		"90s": 90 * time.Second, "10h": 10 * time.Hour, "1h0m1s": time.Hour + time.Second, "500ms": 500 * time.Millisecond} {
		got, err := policy.ParseDuration(text)
		if err != nil || time.Duration(got) != want {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
		if again, err := policy.ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("%s is written %s, which reads %s, %v", text, got, again, err)
		}
	}
	for text, want := range map[string]string{"15": "write 15s, 15m or 15h", "": "not a duration", "soon": "not a duration", "1d": "not a duration"} {
		if _, err := policy.ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if got := policy.Duration(15 * time.Minute).String(); got != "15m" {
		t.Errorf("got %s, want 15m", got)
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	reasons := policy.Reasons()
	for i, r := range reasons {
		if s := r.Sentence(); !strings.HasSuffix(s, ".") || s == policy.Reason("x").Sentence() {
			t.Errorf("%s says %q", r, s)
		}
		if strings.Trim(string(r), "abcdefghijklmnopqrstuvwxyz_") != "" || slices.Contains(reasons[:i], r) {
			t.Errorf("%s is not a code of its own in lower_snake", r)
		}
	}
}

func TestNearestWord(t *testing.T) {
	known := []string{"second_factor", "sso", "stage", "idle"}
	for word, want := range map[string]string{"secnd_factor": "second_factor", "sos": "sso", "stagge": "stage", "idel": "idle",
		"": "", "x": "", "completely_else": "", strings.Repeat("a", 1000): ""} {
		if got := policy.Nearest(word, known); got != want {
			t.Errorf("%.20q: got %q, want %q", word, got, want)
		}
	}
}

func TestPolicySharesNoMemoryWithItsDocument(t *testing.T) {
	d := document()
	p, err := policy.Compile(d, policy.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	d.Roles[0], d.Hosts[0], d.Access[1].Roles[0], d.StepUp[0].Methods[0] = "x", "x", "clinician", "GET"
	p.Roles()[0], p.Hosts()[0], p.Upstreams()[0], p.Methods()[0], p.Accepts()[0] = "x", "x", "x", "x", "x"
	p.Document().Access[1].Roles[0] = "clinician"
	p.SSO().BreakGlass[0] = "x"
	if diff := cmp.Diff(document(), p.Document()); diff != "" {
		t.Error(diff)
	}
	if got := p.Decide(person(policy.AAL2, "clinician"), request("GET", "/billing/7")); got.Allowed() {
		t.Error("an edit of the document reached the policy")
	}
}

func TestAccessors(t *testing.T) {
	p := compile(t)
	got := []any{p.Practice(), p.Name(), p.Region(), p.Idle(), p.Absolute(), p.OutageGrace(), p.RememberDevice(), p.MaxPerUser(),
		p.Timezone().String(), p.SecondFactor(), p.PhishingResistant(), p.Binding().Action}
	want := []any{policy.PracticeID("harbour"), "Harbour Family Practice", "au", 15 * time.Minute, 12 * time.Hour, 5 * time.Minute,
		time.Duration(0), 0, "Australia/Sydney", policy.Enforced, policy.Off, "step_up"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !p.AllowsMethod("sso") || p.AllowsMethod("magic") || !p.AcceptsFactor("totp") || p.AcceptsFactor("sms") {
		t.Error("methods or factors are not those of the document")
	}
}

func TestExplanationInJSONAndText(t *testing.T) {
	e := compile(t).Explain(person(policy.AAL1, "clinician"), request("GET", "/patients"))
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"verdict":"step_up"`, `"reason":"second_factor_needed"`, `"need":"aal2"`, `"rule":"sign_in.second_factor"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s", data, want)
		}
	}
	want := `step_up (second_factor_needed): A second factor is needed and was not used in this session.
  pass  gateway: The path is canonical and the method is forwarded.
  note  network.allow: Every network may reach the practice.
  pass  subject: 0b5c is signed in at aal1 with the roles [clinician].
  pass  roles: The person holds one of the roles [practice_admin, clinician, reception, billing, security_reviewer].
  stop  sign_in.second_factor: The rule asks for aal2. A second factor is needed and was not used in this session.
`
	if diff := cmp.Diff(want, e.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSimulateTellsWhatWidens(t *testing.T) {
	strict, lax := compile(t), compile(t, secondFactor(policy.Off, nil))
	cases := []policy.Case{
		{Name: "password only", Subject: person(policy.AAL1, "clinician"), Request: request("GET", "/patients")},
		{Name: "public", Request: request("GET", "/booking")},
	}
	got := policy.Simulate(strict, lax, cases)
	if !got[0].Widens() || !got[0].Changed() || got[1].Widens() || got[1].Changed() {
		t.Errorf("got %+v", got)
	}
	if back := policy.Simulate(lax, strict, cases); back[0].Widens() || !back[0].Changed() {
		t.Errorf("got %+v", back)
	}
	if first := policy.Simulate(nil, lax, cases); !first[0].Widens() {
		t.Errorf("got %+v", first)
	}
}
