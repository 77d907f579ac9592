package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"clinicgate/policy"
)

func TestTheDocumentOfTheDesignIsSound(t *testing.T) {
	if problems := document().Validate(policy.Platform{}); len(problems) > 0 {
		t.Error(policy.Problems(problems))
	}
}

// fault is one edit of a sound document and the one problem it makes.
type fault struct {
	name   string
	edit   func(*policy.Document)
	field  string
	reason string // part of it
	remedy string // part of it
}

func (f fault) check(t *testing.T) {
	d := document()
	f.edit(&d)
	found(t, d.Check(), f.field, f.reason, f.remedy)
	if _, err := policy.Compile(d, policy.Platform{}); err == nil {
		t.Error("it compiled")
	}
}

func found(t *testing.T, problems []policy.Problem, field, reason, remedy string) {
	t.Helper()
	if !slices.ContainsFunc(problems, func(p policy.Problem) bool {
		return p.Field == field && strings.Contains(p.Reason, reason) && strings.Contains(p.Remedy, remedy) && p.Remedy != ""
	}) {
		t.Errorf("got %v, want %s: …%s… (…%s…)", problems, field, reason, remedy)
	}
}

func TestValidateNamesFieldReasonAndRemedy(t *testing.T) {
	faults := slices.Concat(identityFaults(), signInFaults(), ruleFaults(), providerFaults())
	for _, f := range faults {
		t.Run(f.name, f.check)
	}
}

func identityFaults() []fault {
	host := func(h string) func(*policy.Document) { return func(d *policy.Document) { d.Hosts = []string{h} } }
	upstream := func(u string) func(*policy.Document) { return func(d *policy.Document) { d.Upstreams = []string{u} } }
	return []fault{
		{"id in upper case", func(d *policy.Document) { d.Practice = "Harbour" }, "practice", "not a practice id", "a to z"},
		{"no name", func(d *policy.Document) { d.Name = " " }, "name", "missing", ""},
		{"name that turns the line around", func(d *policy.Document) { d.Name = "Harbour\u202e" }, "name", "cannot be seen", ""},
		{"name with a line break", func(d *policy.Document) { d.Name = "Har\nbour" }, "name", "cannot be seen", ""},
		{"endless name", func(d *policy.Document) { d.Name = strings.Repeat("é", 101) }, "name", "longer than 100", "shorten"},
		{"no hosts", func(d *policy.Document) { d.Hosts = nil }, "hosts", "missing", ""},
		{"host twice", func(d *policy.Document) { d.Hosts = []string{"a.example", "a.example"} }, "hosts[1]", "already", ""},
		{"host in upper case", host("Clinic.Example"), "hosts[0]", "lower case", "clinic.example"},
		{"host with a port", host("clinic.example:443"), "hosts[0]", "port", "clinic.example"},
		{"host with a dot behind", host("clinic.example."), "hosts[0]", "dot", "clinic.example"},
		{"wildcard host", host("*.example"), "hosts[0]", "wildcard", ""},
		{"URL for a host", host("https://clinic.example"), "hosts[0]", "URL", ""},
		{"IPv4 host", host("203.0.113.7"), "hosts[0]", "address", "DNS name"},
		{"IPv6 host", host("[2001:db8::7]"), "hosts[0]", "address", "DNS name"},
		{"host that browsers read as IPv4", host("0x7f.1"), "hosts[0]", "not a DNS name", ""},
		{"host not in ASCII", host("müller.example"), "hosts[0]", "ASCII", "xn--"},
		{"host with an underscore", host("a_b.example"), "hosts[0]", "not a DNS name", ""},
		{"host with an empty label", host("a..example"), "hosts[0]", "not a DNS name", ""},
		{"host with a long label", host(strings.Repeat("a", 64) + ".example"), "hosts[0]", "not a DNS name", ""},
		{"no time zone", func(d *policy.Document) { d.Timezone = "" }, "timezone", "missing", "Australia/Sydney"},
		{"the server's time zone", func(d *policy.Document) { d.Timezone = "Local" }, "timezone", "not a time zone", ""},
		{"time zone that climbs", func(d *policy.Document) { d.Timezone = "../etc/passwd" }, "timezone", "not a time zone", ""},
		{"upstream with a scheme", upstream("http://10.0.0.5:80"), "upstreams[0]", "host:port", "without a scheme"},
		{"upstream without a port", upstream("10.0.0.5"), "upstreams[0]", "host:port", ""},
		{"upstream with port 0", upstream("10.0.0.5:0"), "upstreams[0]", "no port", ""},
		{"upstream with port 70000", upstream("10.0.0.5:70000"), "upstreams[0]", "no port", ""},
		{"upstream at the cloud's credentials", upstream("169.254.169.254:80"), "upstreams[0]", "not the address", "link-local"},
		{"upstream at the cloud's credentials in IPv6", upstream("[::ffff:169.254.169.254]:80"), "upstreams[0]", "not the address", ""},
		{"upstream everywhere", upstream("0.0.0.0:80"), "upstreams[0]", "not the address", ""},
		{"upstream everywhere in IPv6", upstream("[::ffff:0.0.0.0]:80"), "upstreams[0]", "not the address", ""},
		{"idle too short", func(d *policy.Document) { d.Session.Idle = 0 }, "session.idle", "outside 1s to 24h", ""},
		{"absolute shorter than idle", func(d *policy.Document) { d.Session.Absolute = span(time.Minute) }, "session.absolute", "shorter", "15m"},
		{"negative sessions", func(d *policy.Document) { d.Session.MaxPerUser = -1 }, "session.max_per_user", "outside", "0"},
		{"long outage grace", func(d *policy.Document) { d.Session.OutageGrace = span(2 * time.Hour) }, "session.outage_grace", "outside", ""},
		{"unknown binding", func(d *policy.Document) { d.Binding.Action = "stepup" }, "binding.action", "not one of", "step_up"},
		{"unknown device key", func(d *policy.Document) { d.Binding.DeviceKey = "" }, "binding.device_key", "missing", "prefer"},
		{"bare address", network("203.0.113.7"), "network.allow[0]", "not a network", "203.0.113.7/32"},
		{"network with host bits", network("203.0.113.7/24"), "network.allow[0]", "bits", "203.0.113.0/24"},
		{"network in mixed form", network("::ffff:203.0.113.0/120"), "network.allow[0]", "IPv6 form", ""},
		{"no roles", func(d *policy.Document) { d.Roles = nil }, "roles", "missing", ""},
		{"role with a comma", func(d *policy.Document) { d.Roles = append(d.Roles, "a,b") }, "roles[5]", "not a role name", ""},
	}
}

func signInFaults() []fault {
	return []fault{
		{"no methods", func(d *policy.Document) { d.SignIn.Methods = nil }, "sign_in.methods", "missing", ""},
		{"unknown method", func(d *policy.Document) { d.SignIn.Methods = []string{"passwort"} }, "sign_in.methods[0]", "not one of", "password"},
		{"stage slip", secondFactor("enforcd", nil), "sign_in.second_factor.stage",
			`"enforcd" is not one of off, report, grace, enforced`, "did you mean enforced?"},
		{"stage in upper case", secondFactor("Enforced", nil), "sign_in.second_factor.stage", "not one of", "enforced"},
		{"no stage", secondFactor("", nil), "sign_in.second_factor.stage", "missing", "enforced"},
		{"factor that nobody can have", func(d *policy.Document) { d.SignIn.SecondFactor.Accept = nil },
			"sign_in.second_factor.accept", "nobody", "totp"},
		{"no sso stage", func(d *policy.Document) { d.SignIn.SSO.Stage = "" }, "sign_in.sso.stage", "missing", ""},
		{"sso enforced without a provider", func(d *policy.Document) { d.SignIn.SSO.Stage = policy.Enforced },
			"sign_in.sso.provider", "missing while", ""},
		{"sso enforced without break-glass", func(d *policy.Document) {
			d.SignIn.SSO.Stage, d.SignIn.SSO.BreakGlass = policy.Enforced, nil
		}, "sign_in.sso.break_glass", "empty", "account"},
		{"sso of an unknown provider", func(d *policy.Document) { d.SignIn.SSO.Provider = new("entra") },
			"sign_in.sso.provider", "not one of the providers", "describe it"},
		{"sso in force and not a method", func(d *policy.Document) {
			d.SignIn.SSO.Stage, d.SignIn.Methods = policy.Report, []string{"password"}
		}, "sign_in.methods", "leaves out sso", ""},
		{"sso alone without a provider", func(d *policy.Document) { d.SignIn.Methods = []string{"sso"} },
			"sign_in.sso.provider", "only way", ""},
		{"break-glass in upper case", func(d *policy.Document) { d.SignIn.SSO.BreakGlass = []string{"Admin@harbour.test"} },
			"sign_in.sso.break_glass[0]", "lower case", ""},
		{"break-glass without a domain", func(d *policy.Document) { d.SignIn.SSO.BreakGlass = []string{"admin@"} },
			"sign_in.sso.break_glass[0]", "empty", ""},
		{"phishing-resistant for nobody", func(d *policy.Document) {
			d.SignIn.PhishingResistant = policy.PhishingResistant{Stage: policy.Grace}
		}, "sign_in.phishing_resistant.roles", "empty", ""},
		{"phishing-resistant for an unknown role", func(d *policy.Document) { d.SignIn.PhishingResistant.Roles = []string{"clinican"} },
			"sign_in.phishing_resistant.roles[0]", "not one of the practice's roles", "did you mean clinician?"},
		{"phishing-resistant without passkeys", func(d *policy.Document) {
			d.SignIn.Methods, d.SignIn.SecondFactor.Accept, d.StepUp = []string{"password"}, []string{"totp"}, nil
			d.SignIn.PhishingResistant.Stage = policy.Enforced
		}, "sign_in.phishing_resistant.stage", "nobody can reach", "passkey"},
	}
}

func ruleFaults() []fault {
	access := func(rules ...policy.AccessRule) func(*policy.Document) {
		return func(d *policy.Document) { d.Access = rules }
	}
	path := func(p string) func(*policy.Document) {
		return access(policy.AccessRule{Path: p, Roles: []string{"billing"}})
	}
	stepUp := func(r policy.StepUpRule) func(*policy.Document) {
		return func(d *policy.Document) { d.StepUp = []policy.StepUpRule{r} }
	}
	return []fault{
		{"no path", path(""), "access[0].path", "missing", ""},
		{"path without a slash", path("billing/*"), "access[0].path", "begin", "/billing/*"},
		{"star in the middle", path("/a/*/b"), "access[0].path", "star", ""},
		{"star on a name", path("/a*"), "access[0].path", "star", ""},
		{"path with a slash behind", path("/a/"), "access[0].path", "ends in", "/a/*"},
		{"encoded path", path("/a%20b"), "access[0].path", "percent-encoded", "decoded"},
		{"path with a query", path("/a?b"), "access[0].path", "query", ""},
		{"path that climbs", path("/a/../b"), "access[0].path", "never match", ""},
		{"path with a look-alike slash", path("/a／b"), "access[0].path", "never match", ""},
		{"the gateway's path", path("/.gate/*"), "access[0].path", "gateway", ""},
		{"neither public nor roles", access(policy.AccessRule{Path: "/a"}), "access[0]", "neither", ""},
		{"public and roles", access(policy.AccessRule{Path: "/a", Public: true, Roles: []string{"billing"}}), "access[0]", "public and names", ""},
		{"everything public", access(policy.AccessRule{Path: "/*", Public: true}), "access[0]", "whole practice", ""},
		{"unknown role", access(policy.AccessRule{Path: "/a", Roles: []string{"biling"}}), "access[0].roles[0]", "not one of", "billing"},
		{"rule behind a public one", access(policy.AccessRule{Path: "/a/*", Public: true},
			policy.AccessRule{Path: "/a/b/*", Roles: []string{"billing"}}), "access[1].path", "never reached", "narrower rule first"},
		{"rule behind a public one in other letters", access(policy.AccessRule{Path: "/A/*", Public: true},
			policy.AccessRule{Path: "/a/b", Roles: []string{"billing"}}), "access[1].path", "never reached", ""},
		{"rule behind one for everything", access(policy.AccessRule{Path: "/*", Roles: []string{"billing"}},
			policy.AccessRule{Path: "/a", Public: true}), "access[1].path", "never reached", ""},
		{"rule twice", access(policy.AccessRule{Path: "/a", Public: true}, policy.AccessRule{Path: "/a", Public: true}),
			"access[1].path", "never reached", ""},
		{"step-up without a level", stepUp(policy.StepUpRule{Path: "/a"}), "step_up[0].level", "missing", "aal2"},
		{"step-up method in lower case", stepUp(policy.StepUpRule{Path: "/a", Level: policy.AAL2, Methods: []string{"post"}}),
			"step_up[0].methods[0]", "not one of", ""},
		{"step-up with a negative age", stepUp(policy.StepUpRule{Path: "/a", Level: policy.AAL2, MaxAge: -1}),
			"step_up[0].max_age", "outside", ""},
		{"step-up that nobody can meet", func(d *policy.Document) {
			d.SignIn.Methods, d.SignIn.SecondFactor.Accept = []string{"password"}, []string{"totp"}
		}, "step_up[0].level", "nobody can reach", "passkey"},
		{"too many rules", func(d *policy.Document) { d.Access = make([]policy.AccessRule, 201) }, "access", "201 rules", ""},
	}
}

func oidc() policy.Provider {
	return policy.Provider{Kind: "oidc", Label: "Sign in", Issuer: "https://login.example.org/t", ClientID: "c",
		ClientSecret: &policy.SecretRef{File: "entra-secret"}, Scopes: []string{"openid"}, Claims: map[string]string{"email": "email"},
		RoleMap: map[string]string{"doctors": "clinician"}, Domains: []string{"harbour.test"}, Accounts: "invited",
		TrustAMR: []string{"mfa"}}
}

func saml() policy.Provider {
	return policy.Provider{Kind: "saml", Label: "Sign in", Metadata: &policy.MetadataRef{URL: "https://adfs.example.org/m"},
		EntityID: "urn:adfs", Attributes: map[string]string{"email": "mail"}, Accounts: "jit", Domains: []string{"harbour.test"}}
}

func providerFaults() []fault {
	provider := func(p policy.Provider, edit func(*policy.Provider)) func(*policy.Document) {
		edit(&p)
		return func(d *policy.Document) { d.Providers = map[string]policy.Provider{"idp": p} }
	}
	return []fault{
		{"provider's name", func(d *policy.Document) { d.Providers = map[string]policy.Provider{"a/b": oidc()} }, "providers", "not a provider's name", ""},
		{"kind", provider(oidc(), func(p *policy.Provider) { p.Kind = "oauth" }), "providers.idp.kind", "not one of", "write one of"},
		{"issuer over http", provider(oidc(), func(p *policy.Provider) { p.Issuer = "http://x.example" }), "providers.idp.issuer", "https", ""},
		{"issuer with a user", provider(oidc(), func(p *policy.Provider) { p.Issuer = "https://a@x.example" }), "providers.idp.issuer", "user", ""},
		{"no client id", provider(oidc(), func(p *policy.Provider) { p.ClientID = "" }), "providers.idp.client_id", "missing", ""},
		{"no secret", provider(oidc(), func(p *policy.Provider) { p.ClientSecret = nil }), "providers.idp.client_secret", "missing", "vault"},
		{"two secrets", provider(oidc(), func(p *policy.Provider) { p.ClientSecret = &policy.SecretRef{File: "a", Vault: "b"} }),
			"providers.idp.client_secret", "exactly one", ""},
		{"a file of the host for a secret", provider(oidc(), func(p *policy.Provider) { p.ClientSecret = &policy.SecretRef{File: "/etc/shadow"} }),
			"providers.idp.client_secret.file", "not a file name", "secrets folder"},
		{"a file above for a secret", provider(oidc(), func(p *policy.Provider) { p.ClientSecret = &policy.SecretRef{File: ".."} }),
			"providers.idp.client_secret.file", "not a file name", ""},
		{"scopes without openid", provider(oidc(), func(p *policy.Provider) { p.Scopes = []string{"email"} }), "providers.idp.scopes", "openid", ""},
		{"no e-mail claim", provider(oidc(), func(p *policy.Provider) { p.Claims = nil }), "providers.idp.claims.email", "missing", ""},
		{"unknown claim", provider(oidc(), func(p *policy.Provider) { p.Claims = map[string]string{"email": "e", "role": "r"} }),
			"providers.idp.claims.role", "not one of", "roles"},
		{"unknown role mapped", provider(oidc(), func(p *policy.Provider) { p.RoleMap = map[string]string{"a": "doctor"} }),
			"providers.idp.role_map.a", "not one of", ""},
		{"jit for any domain", provider(saml(), func(p *policy.Provider) { p.Domains = nil }), "providers.idp.domains", "any address", ""},
		{"trust in a password", provider(oidc(), func(p *policy.Provider) { p.TrustAMR = []string{"pwd"} }), "providers.idp.trust_amr[0]", "not one of", ""},
		{"no metadata", provider(saml(), func(p *policy.Provider) { p.Metadata = nil }), "providers.idp.metadata", "exactly one", ""},
		{"metadata over http", provider(saml(), func(p *policy.Provider) { p.Metadata = &policy.MetadataRef{URL: "http://x.example"} }),
			"providers.idp.metadata.url", "https", ""},
		{"no entity id", provider(saml(), func(p *policy.Provider) { p.EntityID = "" }), "providers.idp.entity_id", "missing", ""},
		{"the other kind's field", provider(saml(), func(p *policy.Provider) { p.Issuer = "https://x.example" }),
			"providers.idp.issuer", "not a field of a saml provider", "remove"},
	}
}

func TestProvidersOfTheDesignAreSound(t *testing.T) {
	d := document()
	d.Providers = map[string]policy.Provider{"entra": oidc(), "adfs": saml()}
	d.SignIn.SSO = policy.SSO{Stage: policy.Enforced, Provider: new("entra"), BreakGlass: []string{"admin@harbour.test"}}
	if problems := d.Validate(policy.Platform{}); len(problems) > 0 {
		t.Error(policy.Problems(problems))
	}
}

func TestValidateTellsEverythingAtOnce(t *testing.T) {
	d := document()
	d.Hosts, d.Timezone, d.SignIn.SecondFactor.Stage = []string{"A"}, "", "x"
	if problems := d.Check(); len(problems) != 3 {
		t.Errorf("got %v, want three problems", problems)
	}
}
