package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"clinicgate/policy"
)

var (
	now    = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	inside = netip.MustParseAddr("203.0.113.7")
)

// document is DESIGN section 5, complete.
func document() policy.Document {
	return policy.Document{
		Practice: "harbour", Name: "Harbour Family Practice", Hosts: []string{"harbour.localhost"}, Region: "au",
		Timezone: "Australia/Sydney", Upstreams: []string{"127.0.0.1:9000"},
		SignIn: policy.SignInRules{
			Methods:           []string{"password", "passkey", "sso"},
			SecondFactor:      policy.SecondFactor{Stage: policy.Enforced, Accept: []string{"totp", "passkey"}},
			SSO:               policy.SSO{Stage: policy.Off, BreakGlass: []string{"admin@harbour.test"}},
			PhishingResistant: policy.PhishingResistant{Stage: policy.Off, Roles: []string{"practice_admin"}},
		},
		Session: policy.Session{Idle: span(15 * time.Minute), Absolute: span(12 * time.Hour), OutageGrace: span(5 * time.Minute)},
		Binding: policy.Binding{Action: "step_up", DeviceKey: "prefer"},
		Roles:   []string{"practice_admin", "clinician", "reception", "billing", "security_reviewer"},
		Access: []policy.AccessRule{
			{Path: "/booking/*", Public: true},
			{Path: "/billing/*", Roles: []string{"billing", "practice_admin"}},
		},
		StepUp: []policy.StepUpRule{
			{Path: "/prescriptions/*", Methods: []string{"POST"}, Level: policy.AAL2PR, MaxAge: span(10 * time.Minute)},
		},
	}
}

func span(d time.Duration) policy.Duration { return policy.Duration(d) }

func compile(t testing.TB, edits ...func(*policy.Document)) *policy.Policy {
	t.Helper()
	d := document()
	for _, edit := range edits {
		edit(&d)
	}
	p, err := policy.Compile(d, policy.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// person signed in at that level five minutes ago, holding every factor the level takes and a second one.
func person(level policy.Level, roles ...string) *policy.Subject {
	s := &policy.Subject{UserID: "0b5c", Roles: roles, Level: level, HasSecondFactor: true,
		HasPhishingResistant: level >= policy.AAL2PR}
	for l := policy.AAL1; l <= level; l++ {
		s.ProvedAt[l] = now.Add(-5 * time.Minute)
	}
	return s
}

func with(s *policy.Subject, edit func(*policy.Subject)) *policy.Subject {
	edit(s)
	return s
}

func request(method, path string) policy.Request {
	return policy.Request{Method: method, Path: path, Client: inside, Now: now}
}

func secondFactor(stage policy.Stage, until *time.Time) func(*policy.Document) {
	return func(d *policy.Document) {
		d.SignIn.SecondFactor.Stage, d.SignIn.SecondFactor.GraceUntil = stage, until
	}
}

func phishingResistant(stage policy.Stage) func(*policy.Document) {
	return func(d *policy.Document) { d.SignIn.PhishingResistant.Stage = stage }
}

func network(cidrs ...string) func(*policy.Document) {
	return func(d *policy.Document) { d.Network.Allow = cidrs }
}
