package policy

import "time"

// Platform is the platform's own document (platform.yaml). The zero value has no floor and no regions.
type Platform struct {
	Floor         Floor             `json:"floor" yaml:"floor"`
	Regions       map[string]Region `json:"regions,omitempty" yaml:"regions,omitempty"`
	Retention     Retention         `json:"retention" yaml:"retention,flow"`
	HeaderAliases map[string]string `json:"header_aliases,omitempty" yaml:"header_aliases,omitempty"` // Remote-User: X-User-Email
	Mail          Mail              `json:"mail" yaml:"mail"`
}

// Floor is the least every practice must demand; each field is optional. A document below it is refused.
type Floor struct {
	SecondFactor   Stage      `json:"second_factor,omitempty" yaml:"second_factor,omitempty"`     // weakest stage of sign_in.second_factor
	GraceUntil     *time.Time `json:"grace_until,omitempty" yaml:"grace_until,omitempty"`         // no grace, of a practice or a person, runs past this
	Level          Level      `json:"level,omitempty" yaml:"level,omitempty"`                     // what every signed-in request must prove
	Idle           Duration   `json:"idle,omitempty" yaml:"idle,omitempty"`                       // longest session.idle
	Absolute       Duration   `json:"absolute,omitempty" yaml:"absolute,omitempty"`               // longest session.absolute
	OutageGrace    *Duration  `json:"outage_grace,omitempty" yaml:"outage_grace,omitempty"`       // longest session.outage_grace
	RememberDevice *Duration  `json:"remember_device,omitempty" yaml:"remember_device,omitempty"` // longest session.remember_device
}

// Region is a place where backends run.
type Region struct {
	Upstreams []string `json:"upstreams" yaml:"upstreams,flow"` // host:port, for practices that name none
}

// Retention says how long records are kept.
type Retention struct {
	Audit Duration `json:"audit" yaml:"audit"` // at least 24h
}

// Mail says how the platform sends mail. The zero value sends none.
type Mail struct {
	From     string     `json:"from,omitempty" yaml:"from,omitempty"`
	Server   string     `json:"server,omitempty" yaml:"server,omitempty"` // host:port, STARTTLS or TLS required
	Username string     `json:"username,omitempty" yaml:"username,omitempty"`
	Password *SecretRef `json:"password,omitempty" yaml:"password,flow,omitempty"`
}
