package config

import (
	"time"

	"clinicgate/policy"
)

// defaultDocument is what a field that is absent means: of two readings always the safer. What is written replaces it;
// an empty list that is written stays empty.
func defaultDocument() policy.Document {
	return policy.Document{
		Timezone: "UTC",
		SignIn: policy.SignInRules{
			Methods:           []string{"password"},
			SecondFactor:      policy.SecondFactor{Stage: policy.Enforced, Accept: []string{"totp", "passkey"}},
			SSO:               policy.SSO{Stage: policy.Off},
			PhishingResistant: policy.PhishingResistant{Stage: policy.Off},
		},
		Session: policy.Session{
			Idle:        policy.Duration(15 * time.Minute),
			Absolute:    policy.Duration(12 * time.Hour),
			OutageGrace: policy.Duration(5 * time.Minute),
		},
		Binding: policy.Binding{Action: "step_up", DeviceKey: "prefer"},
		Roles:   []string{"practice_admin", "clinician", "reception", "billing", "security_reviewer"},
	}
}

// fillDocument adds the defaults that depend on what was written, to fields that were not.
func fillDocument(d *policy.Document, l lines) {
	if !l.has("sign_in.phishing_resistant.roles") {
		for _, role := range d.Roles {
			if role == "practice_admin" {
				d.SignIn.PhishingResistant.Roles = []string{role}
			}
		}
	}
	for name, p := range d.Providers {
		d.Providers[name] = fillProvider("providers."+name, name, p, l)
	}
}

func fillProvider(field, name string, p policy.Provider, l lines) policy.Provider {
	if !l.has(field + ".accounts") {
		p.Accounts = "invited"
	}
	if !l.has(field + ".label") {
		p.Label = name
	}
	if p.Kind == "oidc" && !l.has(field+".scopes") {
		p.Scopes = []string{"openid", "email", "profile"}
	}
	if p.Kind == "oidc" && !l.has(field+".claims") {
		p.Claims = map[string]string{"email": "email", "name": "name"}
	}
	if p.Kind == "saml" && !l.has(field+".attributes") {
		p.Attributes = map[string]string{"email": "email", "name": "name"}
	}
	return p
}

// defaultPlatform keeps audit records for a year and demands nothing.
func defaultPlatform() policy.Platform {
	return policy.Platform{Retention: policy.Retention{Audit: policy.Duration(8760 * time.Hour)}}
}
