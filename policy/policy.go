// Package policy decides who may pass: it holds a practice's sign-in policy, checks it, compiles it and answers for each
// request whether the practice lets it through. It is pure: no HTTP, no clock, no files; time arrives as an argument.
package policy

import (
	"net/netip"
	"slices"
	"time"
)

// Policy is one practice's compiled policy: immutable, shared by pointer, safe for concurrent use.
// Only [Compile] makes one that allows anything; a nil or zero Policy denies every request.
type Policy struct {
	ok  bool
	doc Document

	zone          *time.Location
	upstreams     []string
	prefixes      []netip.Prefix
	roles         []string
	access        []accessRule
	stepUp        []stepUpRule
	secondFactor  staged
	phishing      staged
	phishingRoles []string
}

// staged is a compiled stage with its end of grace (zero: no date, so a grace that is already over) and the latest end
// the platform's floor admits for anybody (zero: no limit).
type staged struct {
	stage  Stage
	until  time.Time
	latest time.Time
}

// Practice is the practice's id.
func (p *Policy) Practice() PracticeID { return p.doc.Practice }

// Name is the practice's name, as its staff know it.
func (p *Policy) Name() string { return p.doc.Name }

// Hosts are the practice's host names, lower case. The caller owns the slice, here and below.
func (p *Policy) Hosts() []string { return slices.Clone(p.doc.Hosts) }

// Region is the platform's region the practice lives in; may be empty.
func (p *Policy) Region() string { return p.doc.Region }

// Upstreams are the practice's backends as host:port: its own, or its region's.
func (p *Policy) Upstreams() []string { return slices.Clone(p.upstreams) }

// Idle is the time without a request after which a session ends.
func (p *Policy) Idle() time.Duration { return time.Duration(p.doc.Session.Idle) }

// Absolute is the age at which a session ends whatever its use.
func (p *Policy) Absolute() time.Duration { return time.Duration(p.doc.Session.Absolute) }

// OutageGrace is how long a signed-in session goes on from a node's memory while the database is away.
func (p *Policy) OutageGrace() time.Duration { return time.Duration(p.doc.Session.OutageGrace) }

// RememberDevice is how long a device that proved a second factor is remembered; 0 is never.
func (p *Policy) RememberDevice() time.Duration { return time.Duration(p.doc.Session.RememberDevice) }

// MaxPerUser is the number of sessions one person may hold at once; 0 is no limit.
func (p *Policy) MaxPerUser() int { return p.doc.Session.MaxPerUser }

// Timezone is the zone in which the practice's people read times; never nil for a compiled policy.
func (p *Policy) Timezone() *time.Location { return p.zone }

// Roles are the practice's roles.
func (p *Policy) Roles() []string { return slices.Clone(p.roles) }

// Methods are the ways to sign in: "password", "passkey", "sso".
func (p *Policy) Methods() []string { return slices.Clone(p.doc.SignIn.Methods) }

// AllowsMethod says whether people may sign in that way.
func (p *Policy) AllowsMethod(method string) bool {
	return p != nil && p.ok && slices.Contains(p.doc.SignIn.Methods, method)
}

// SecondFactor is the stage of the second-factor rule.
func (p *Policy) SecondFactor() Stage { return p.secondFactor.stage }

// Accepts are the kinds of second factor that count: "totp", "passkey".
func (p *Policy) Accepts() []string { return slices.Clone(p.doc.SignIn.SecondFactor.Accept) }

// AcceptsFactor says whether that kind of second factor counts.
func (p *Policy) AcceptsFactor(kind string) bool {
	return p != nil && p.ok && slices.Contains(p.doc.SignIn.SecondFactor.Accept, kind)
}

// PhishingResistant is the stage of the rule that asks some roles for a phishing-resistant factor.
func (p *Policy) PhishingResistant() Stage { return p.phishing.stage }

// SSO is the single sign-on rule.
func (p *Policy) SSO() SSO { return p.doc.SignIn.SSO.clone() }

// Binding says what happens when a session shows up on another device.
func (p *Policy) Binding() Binding { return p.doc.Binding }

// Document is a copy of the document the policy was compiled from.
func (p *Policy) Document() Document { return p.doc.Clone() }

// AllowsClient says whether the practice's network rule admits that address. Decide asks the same question; this is for
// the gateway's own pages, which Decide does not serve. An invalid address is outside every network.
func (p *Policy) AllowsClient(client netip.Addr) bool {
	return p != nil && p.ok && p.insideNetwork(client)
}

// insideNetwork takes an IPv4 address in IPv6 form for what it is. An address with a zone is inside nothing: a zone has a
// meaning only on one machine.
func (p *Policy) insideNetwork(client netip.Addr) bool {
	if len(p.prefixes) == 0 {
		return true
	}
	if client.Zone() != "" {
		return false
	}
	client = client.Unmap()
	for i := range p.prefixes {
		if p.prefixes[i].Contains(client) {
			return true
		}
	}
	return false
}
