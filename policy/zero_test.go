package policy_test

import (
	"testing"
	"time"

	"clinicgate/policy"
)

func TestZeroValuesDeny(t *testing.T) {
	p := compile(t)
	s := person(policy.AAL2PR, "practice_admin")
	r := request("GET", "/patients")
	without := func(edit func(*policy.Request)) policy.Request { r := r; edit(&r); return r }
	for name, d := range map[string]policy.Decision{
		"decision":            {},
		"nil policy":          (*policy.Policy)(nil).Decide(s, r),
		"zero policy":         new(policy.Policy).Decide(s, r),
		"nil policy baseline": (*policy.Policy)(nil).Baseline(s, r),
		"nil subject":         p.Decide(nil, r),
		"zero subject":        p.Decide(&policy.Subject{}, r),
		"subject unnamed":     p.Decide(with(person(policy.AAL2PR, "practice_admin"), func(s *policy.Subject) { s.UserID = "" }), r),
		"level none":          p.Decide(with(person(policy.AAL2PR, "practice_admin"), func(s *policy.Subject) { s.Level = 0 }), r),
		"level out of range":  p.Decide(with(person(policy.AAL2PR, "practice_admin"), func(s *policy.Subject) { s.Level = 9 }), r),
		"zero request":        p.Decide(s, policy.Request{}),
		"no path":             p.Decide(s, without(func(r *policy.Request) { r.Path = "" })),
		"no method":           p.Decide(s, without(func(r *policy.Request) { r.Method = "" })),
		"no time":             p.Decide(s, without(func(r *policy.Request) { r.Now = time.Time{} })),
	} {
		if d.Allowed() || d.Verdict() == policy.Allow || d.Public() {
			t.Errorf("%s: got %s, want no allow", name, d.Verdict())
		}
		if d.Reason() == "" {
			t.Errorf("%s: no reason", name)
		}
	}
	if policy.Verdict(0) != policy.Deny || policy.Level(0) != policy.LevelNone {
		t.Error("the zero verdict does not deny, or the zero level proves something")
	}
	if got := (*policy.Policy)(nil); got.AllowsClient(inside) || got.AllowsMethod("password") || got.AcceptsFactor("totp") {
		t.Error("a nil policy allows something")
	}
}

func TestExplainOfANilPolicy(t *testing.T) {
	e := (*policy.Policy)(nil).Explain(nil, policy.Request{})
	if e.Verdict != policy.Deny || e.Reason != policy.ReasonNoPolicy {
		t.Errorf("got %s, want deny for no_policy", e)
	}
}

func TestZeroDocumentDoesNotCompile(t *testing.T) {
	if _, err := policy.Compile(policy.Document{}, policy.Platform{}); err == nil {
		t.Error("the zero document compiled")
	}
}

func TestBaselineAsksWhatEverySignedInRequestAsks(t *testing.T) {
	p := compile(t, network("203.0.113.0/24"), func(d *policy.Document) {
		d.Access = append(d.Access, policy.AccessRule{Path: "/", Public: true})
		d.StepUp = []policy.StepUpRule{{Path: "/*", Level: policy.AAL2PR}}
	})
	r := policy.Request{Client: inside, Now: now}
	if d := p.Baseline(person(policy.AAL1, "clinician"), r); d.Verdict() != policy.StepUp || d.Need() != policy.AAL2 {
		t.Errorf("after a password: got %s %s, want step_up aal2", d.Verdict(), d.Need())
	}
	if d := p.Baseline(person(policy.AAL2, "clinician"), r); !d.Allowed() {
		t.Errorf("after the code: got %s, want allow", d.Verdict())
	}
	if d := p.Baseline(nil, r); d.Verdict() != policy.SignIn {
		t.Errorf("nobody: got %s, want sign_in", d.Verdict())
	}
	if d := p.Baseline(person(policy.AAL2, "clinician"), policy.Request{Now: now}); d.Reason() != policy.ReasonNetworkOutside {
		t.Errorf("from nowhere: got %s, want network_outside", d.Reason())
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	for name, b := range benchCases(t) {
		if n := testing.AllocsPerRun(100, func() { b.policy.Decide(b.subject, b.request) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

type benchCase struct {
	policy  *policy.Policy
	subject *policy.Subject
	request policy.Request
}

func benchCases(t testing.TB) map[string]benchCase {
	p := compile(t, network("198.51.100.0/24", "203.0.113.0/24"))
	return map[string]benchCase{
		"allowed":  {p, person(policy.AAL2, "clinician"), request("GET", "/api/patients/4711/notes")},
		"public":   {p, nil, request("GET", "/booking/today")},
		"sign in":  {p, nil, request("GET", "/api/patients")},
		"step up":  {p, person(policy.AAL2PR, "clinician"), request("POST", "/prescriptions/new")},
		"role":     {p, person(policy.AAL2, "clinician"), request("GET", "/billing/2026/03")},
		"refused":  {p, nil, request("GET", "//")},
		"in grace": {compile(t, secondFactor(policy.Grace, new(now.Add(time.Hour)))), person(policy.AAL1, "clinician"), request("GET", "/")},
	}
}

func BenchmarkDecide(b *testing.B) {
	for name, c := range benchCases(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.policy.Decide(c.subject, c.request)
			}
		})
	}
}
