package policy

import (
	"maps"
	"slices"
	"time"
)

// Document is a practice's policy as people write it: YAML in files, JSON in the API, the same names in both.
// Package config reads it and fills in the defaults; [Compile] refuses one that is incomplete.
type Document struct {
	Practice  PracticeID          `json:"practice" yaml:"practice"`
	Name      string              `json:"name" yaml:"name"`                                    // for people, 1 to 100 characters
	Hosts     []string            `json:"hosts" yaml:"hosts,flow"`                             // lower-case DNS names
	Region    string              `json:"region,omitempty" yaml:"region,omitempty"`            // one of the platform's
	Timezone  string              `json:"timezone" yaml:"timezone"`                            // IANA name, for people; stored times are UTC
	Upstreams []string            `json:"upstreams,omitempty" yaml:"upstreams,flow,omitempty"` // host:port; empty: the region's
	SignIn    SignInRules         `json:"sign_in" yaml:"sign_in"`
	Providers map[string]Provider `json:"providers,omitempty" yaml:"providers,omitempty"` // by name, which is part of URLs
	Session   Session             `json:"session" yaml:"session,flow"`
	Binding   Binding             `json:"binding" yaml:"binding,flow"`
	Network   Network             `json:"network" yaml:"network,flow"`
	Roles     []string            `json:"roles" yaml:"roles,flow"`
	Access    []AccessRule        `json:"access,omitempty" yaml:"access,omitempty"`   // first match wins
	StepUp    []StepUpRule        `json:"step_up,omitempty" yaml:"step_up,omitempty"` // every match applies
}

// SignInRules says how people prove who they are.
type SignInRules struct {
	Methods           []string          `json:"methods" yaml:"methods,flow"` // password, passkey, sso
	SecondFactor      SecondFactor      `json:"second_factor" yaml:"second_factor,flow"`
	SSO               SSO               `json:"sso" yaml:"sso,flow"`
	PhishingResistant PhishingResistant `json:"phishing_resistant" yaml:"phishing_resistant,flow"`
}

// SecondFactor asks everybody for aal2.
type SecondFactor struct {
	Stage      Stage      `json:"stage" yaml:"stage"`
	Accept     []string   `json:"accept" yaml:"accept,flow"`      // totp, passkey
	GraceUntil *time.Time `json:"grace_until" yaml:"grace_until"` // stage grace: the date of those without their own; nil: already over
}

// SSO sends people to their practice's identity provider.
type SSO struct {
	Stage      Stage    `json:"stage" yaml:"stage"`
	Provider   *string  `json:"provider" yaml:"provider"`            // a name under providers
	BreakGlass []string `json:"break_glass" yaml:"break_glass,flow"` // e-mail addresses that may still use a password
}

// PhishingResistant asks the people of some roles for aal2-pr.
type PhishingResistant struct {
	Stage Stage    `json:"stage" yaml:"stage"`
	Roles []string `json:"roles" yaml:"roles,flow"`
}

// Session bounds sessions in time and number.
type Session struct {
	Idle           Duration `json:"idle" yaml:"idle"`                       // 1m to 24h
	Absolute       Duration `json:"absolute" yaml:"absolute"`               // idle to 720h
	MaxPerUser     int      `json:"max_per_user" yaml:"max_per_user"`       // 0: no limit
	OutageGrace    Duration `json:"outage_grace" yaml:"outage_grace"`       // 0s to 1h; 0s: none
	RememberDevice Duration `json:"remember_device" yaml:"remember_device"` // 0s to 2160h; 0s: never
}

// Binding says what happens when a session shows up on another device, and whether browsers are asked for a device key.
type Binding struct {
	Action    string `json:"action" yaml:"action"`         // observe, step_up, revoke
	DeviceKey string `json:"device_key" yaml:"device_key"` // off, prefer, require
}

// Network limits from where the practice is reached.
type Network struct {
	Allow []string `json:"allow" yaml:"allow,flow"` // CIDRs; empty: any
}

// AccessRule opens a path to everybody or narrows it to some roles: exactly one of Public and Roles. One that opens holds
// letter for letter; one that narrows, like a step-up rule, in any letter case and with a slash at the end.
type AccessRule struct {
	Path   string   `json:"path" yaml:"path"` // "/x" alone, or "/x/*": /x and all below it
	Public bool     `json:"public,omitempty" yaml:"public,omitempty"`
	Roles  []string `json:"roles,omitempty" yaml:"roles,flow,omitempty"`
}

// StepUpRule asks for a level, and how fresh, on a path.
type StepUpRule struct {
	Path    string   `json:"path" yaml:"path"`
	Methods []string `json:"methods,omitempty" yaml:"methods,flow,omitempty"` // upper case; empty: all; GET covers HEAD
	Level   Level    `json:"level" yaml:"level"`
	MaxAge  Duration `json:"max_age,omitempty" yaml:"max_age,omitempty"` // 0s: any age
}

// Clone is a copy that shares no memory with d.
func (d Document) Clone() Document {
	d.Hosts = slices.Clone(d.Hosts)
	d.Upstreams = slices.Clone(d.Upstreams)
	d.Roles = slices.Clone(d.Roles)
	d.Network.Allow = slices.Clone(d.Network.Allow)
	d.SignIn.Methods = slices.Clone(d.SignIn.Methods)
	d.SignIn.SecondFactor.Accept = slices.Clone(d.SignIn.SecondFactor.Accept)
	d.SignIn.SecondFactor.GraceUntil = clonePointer(d.SignIn.SecondFactor.GraceUntil)
	d.SignIn.SSO = d.SignIn.SSO.clone()
	d.SignIn.PhishingResistant.Roles = slices.Clone(d.SignIn.PhishingResistant.Roles)
	d.Access = slices.Clone(d.Access)
	for i := range d.Access {
		d.Access[i].Roles = slices.Clone(d.Access[i].Roles)
	}
	d.StepUp = slices.Clone(d.StepUp)
	for i := range d.StepUp {
		d.StepUp[i].Methods = slices.Clone(d.StepUp[i].Methods)
	}
	d.Providers = maps.Clone(d.Providers)
	for name, provider := range d.Providers {
		d.Providers[name] = provider.clone()
	}
	return d
}

func (s SSO) clone() SSO {
	s.Provider = clonePointer(s.Provider)
	s.BreakGlass = slices.Clone(s.BreakGlass)
	return s
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
