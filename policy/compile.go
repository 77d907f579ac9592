package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
	_ "time/tzdata" // a static binary in an empty container has no zone files
)

// Compile checks d against the platform and makes it fit to decide. The error is [Problems] when d is refused. The policy
// shares no memory with d.
func Compile(d Document, pf Platform) (*Policy, error) {
	if problems := d.Validate(pf); len(problems) > 0 {
		return nil, Problems(problems)
	}
	d = d.Clone()
	zone, err := time.LoadLocation(d.Timezone)
	if err != nil {
		return nil, fmt.Errorf("loading time zone %q: %w", d.Timezone, err)
	}
	prefixes := make([]netip.Prefix, 0, len(d.Network.Allow))
	for _, cidr := range d.Network.Allow {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("reading network %q: %w", cidr, err)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	upstreams := d.Upstreams
	if len(upstreams) == 0 {
		upstreams = slices.Clone(pf.Regions[d.Region].Upstreams)
	}
	second, phishing := d.SignIn.SecondFactor, d.SignIn.PhishingResistant
	return &Policy{
		ok: true, doc: d, zone: zone, upstreams: upstreams, prefixes: prefixes, roles: d.Roles,
		access: compileAccess(d.Access), stepUp: compileStepUp(d.StepUp),
		secondFactor: staged{second.Stage, instant(second.GraceUntil), instant(pf.Floor.GraceUntil)},
		// Both rules share the person's date; the policy's own date is the second factor's.
		phishing:      staged{phishing.Stage, instant(second.GraceUntil), instant(pf.Floor.GraceUntil)},
		phishingRoles: phishing.Roles,
	}, nil
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func duration(d Duration) time.Duration { return time.Duration(d) }
