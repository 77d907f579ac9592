package policy_test

import (
	"slices"
	"testing"
	"time"

	"clinicgate/policy"
)

func platform(edit func(*policy.Platform)) policy.Platform {
	pf := policy.Platform{
		Regions:   map[string]policy.Region{"au": {Upstreams: []string{"10.0.0.5:8080"}}},
		Retention: policy.Retention{Audit: span(8760 * time.Hour)},
	}
	edit(&pf)
	return pf
}

func TestDocumentBelowTheFloorIsRefusedAndTheFloorNamed(t *testing.T) {
	none := policy.Duration(0)
	for _, tt := range []struct {
		name  string
		floor policy.Floor
		edit  func(*policy.Document)
		field string
		names string
	}{
		{"stage", policy.Floor{SecondFactor: policy.Enforced}, secondFactor(policy.Grace, nil), "sign_in.second_factor.stage", "floor.second_factor"},
		{"grace", policy.Floor{GraceUntil: new(now)}, secondFactor(policy.Grace, new(now.Add(1))), "sign_in.second_factor.grace_until", "floor.grace_until"},
		{"aal2", policy.Floor{Level: policy.AAL2}, secondFactor(policy.Grace, nil), "sign_in.second_factor.stage", "floor.level"},
		{"aal2-pr", policy.Floor{Level: policy.AAL2PR}, phishingResistant(policy.Grace), "sign_in.phishing_resistant.stage", "floor.level"},
		{"aal2-pr for all", policy.Floor{Level: policy.AAL2PR}, phishingResistant(policy.Enforced), "sign_in.phishing_resistant.roles", "clinician"},
		{"idle", policy.Floor{Idle: span(14 * time.Minute)}, func(*policy.Document) {}, "session.idle", "floor.idle"},
		{"absolute", policy.Floor{Absolute: span(time.Hour)}, func(*policy.Document) {}, "session.absolute", "floor.absolute"},
		{"outage grace", policy.Floor{OutageGrace: &none}, func(*policy.Document) {}, "session.outage_grace", "floor.outage_grace"},
		{"remember device", policy.Floor{RememberDevice: &none},
			func(d *policy.Document) { d.Session.RememberDevice = 1 }, "session.remember_device", "floor.remember_device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := document()
			tt.edit(&d)
			if problems := d.Check(); len(problems) > 0 {
				t.Fatalf("unsound without a floor: %v", problems)
			}
			pf := platform(func(pf *policy.Platform) { pf.Floor = tt.floor })
			found(t, d.Validate(pf), tt.field, tt.names, "")
			if _, err := policy.Compile(d, pf); err == nil {
				t.Error("it compiled")
			}
		})
	}
}

func TestDocumentOnTheFloorStands(t *testing.T) {
	d := document()
	d.SignIn.PhishingResistant = policy.PhishingResistant{Stage: policy.Enforced, Roles: d.Roles}
	floor := policy.Floor{SecondFactor: policy.Enforced, Level: policy.AAL2PR, Idle: d.Session.Idle, Absolute: d.Session.Absolute,
		OutageGrace: &d.Session.OutageGrace, RememberDevice: &d.Session.RememberDevice}
	if problems := d.Validate(platform(func(pf *policy.Platform) { pf.Floor = floor })); len(problems) > 0 {
		t.Error(policy.Problems(problems))
	}
}

func TestRegionsGiveUpstreamsToWhoNamesNone(t *testing.T) {
	d := document()
	d.Upstreams = nil
	p, err := policy.Compile(d, platform(func(*policy.Platform) {}))
	if err != nil || !slices.Equal(p.Upstreams(), []string{"10.0.0.5:8080"}) {
		t.Errorf("got %v, %v; want the region's", p, err)
	}
	d.Region = "nz"
	found(t, d.Validate(platform(func(*policy.Platform) {})), "region", "not one of the platform's regions", "au")
	found(t, d.Validate(platform(func(*policy.Platform) {})), "upstreams", "the region has none", "host:port")
}

func TestPlatformIsValidated(t *testing.T) {
	for _, tt := range []struct {
		name          string
		edit          func(*policy.Platform)
		field, reason string
	}{
		{"floor's stage", func(pf *policy.Platform) { pf.Floor.SecondFactor = "strict" }, "floor.second_factor", "not one of"},
		{"negative floor", func(pf *policy.Platform) { pf.Floor.Idle = -1 }, "floor.idle", "outside"},
		{"region's name", func(pf *policy.Platform) { pf.Regions = map[string]policy.Region{"A U": {}} }, "regions", "not a region's name"},
		{"region's upstream", func(pf *policy.Platform) { pf.Regions["au"] = policy.Region{Upstreams: []string{"x"}} }, "regions.au.upstreams[0]", "host:port"},
		{"no retention", func(pf *policy.Platform) { pf.Retention.Audit = 0 }, "retention.audit", "outside 24h"},
		{"alias of Cookie", alias("Cookie", "X-User-Id"), "header_aliases.Cookie", "meaning of its own"},
		{"alias in the reserved space", alias("x-user-email2", "X-User-Id"), "header_aliases.x-user-email2", "reserved already"},
		{"alias with an underscore", alias("Remote_User", "X-User-Id"), "header_aliases.Remote_User", "not a header name"},
		{"alias of nothing", alias("Remote-User", "X-User"), "header_aliases.Remote-User", "not one of"},
		{"alias twice", func(pf *policy.Platform) {
			pf.HeaderAliases = map[string]string{"Remote-User": "X-User-Id", "remote-user": "X-User-Email"}
		}, "header_aliases.remote-user", "in other letters"},
		{"mail without a sender", func(pf *policy.Platform) { pf.Mail.Server = "mail.example:587" }, "mail.from", "not an e-mail address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found(t, platform(tt.edit).Validate(), tt.field, tt.reason, "")
		})
	}
	sound := platform(alias("Remote-User", "X-User-Email"))
	sound.Mail = policy.Mail{From: "no-reply@clinic.example", Server: "mail.clinic.example:587"}
	if problems := sound.Validate(); len(problems) > 0 {
		t.Error(policy.Problems(problems))
	}
}

func alias(name, header string) func(*policy.Platform) {
	return func(pf *policy.Platform) { pf.HeaderAliases = map[string]string{name: header} }
}
