package policy

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// CheckPlatform lists what is wrong with d on this platform: an unknown region, no backend, less than the floor demands.
func (d Document) CheckPlatform(pf Platform) []Problem {
	c := &checker{}
	c.region(&d, pf)
	floor := &pf.Floor
	second := &d.SignIn.SecondFactor
	if floor.SecondFactor != "" && second.Stage.Weaker(floor.SecondFactor) {
		c.floor("sign_in.second_factor.stage", string(second.Stage), "floor.second_factor", string(floor.SecondFactor))
	}
	if g := second.GraceUntil; g != nil && floor.GraceUntil != nil && g.After(*floor.GraceUntil) {
		c.floor("sign_in.second_factor.grace_until", g.Format(time.RFC3339), "floor.grace_until",
			floor.GraceUntil.Format(time.RFC3339))
	}
	c.floorLevel(&d, floor.Level)
	c.floorSpan("idle", d.Session.Idle, positive(floor.Idle))
	c.floorSpan("absolute", d.Session.Absolute, positive(floor.Absolute))
	c.floorSpan("outage_grace", d.Session.OutageGrace, floor.OutageGrace)
	c.floorSpan("remember_device", d.Session.RememberDevice, floor.RememberDevice)
	return c.problems
}

func (c *checker) region(d *Document, pf Platform) {
	names := slices.Sorted(maps.Keys(pf.Regions))
	if d.Region != "" && len(names) > 0 && !slices.Contains(names, d.Region) {
		c.add("region", quote(d.Region)+" is not one of the platform's regions", "write one of "+strings.Join(names, ", "))
	}
	if len(d.Upstreams) == 0 && len(pf.Regions[d.Region].Upstreams) == 0 {
		c.add("upstreams", "is empty and the region has none either", "name the practice's backends as host:port")
	}
}

func (c *checker) floor(field, value, floor, least string) {
	c.add(field, quote(value)+" is below the platform's "+floor+", which is "+least, "write "+least)
}

func positive(d Duration) *Duration {
	if d > 0 {
		return &d
	}
	return nil
}

func (c *checker) floorSpan(name string, d Duration, most *Duration) {
	if most != nil && d > *most {
		c.floor("session."+name, d.String(), "floor."+name, "at most "+most.String())
	}
}

// floorLevel wants the rules that hold for every signed-in request to reach the platform's level.
func (c *checker) floorLevel(d *Document, least Level) {
	const because = "is below the platform's floor.level, which is "
	if least >= AAL2 && d.SignIn.SecondFactor.Stage != Enforced {
		c.add("sign_in.second_factor.stage", quote(string(d.SignIn.SecondFactor.Stage))+" "+because+least.String(), "write enforced")
	}
	if least < AAL2PR {
		return
	}
	rule := &d.SignIn.PhishingResistant
	if rule.Stage != Enforced {
		c.add("sign_in.phishing_resistant.stage", quote(string(rule.Stage))+" "+because+least.String(), "write enforced")
	}
	for _, role := range d.Roles {
		if !slices.Contains(rule.Roles, role) {
			c.add("sign_in.phishing_resistant.roles", "leaves out "+role+" and so "+because+least.String(), "add "+role)
		}
	}
}

// Validate lists what is wrong with the platform's own document; nil when nothing is.
func (pf Platform) Validate() []Problem {
	c := &checker{}
	c.floorItself(pf.Floor)
	for _, name := range slices.Sorted(maps.Keys(pf.Regions)) {
		field := "regions." + name
		if !isLabel(name) || len(name) > 40 {
			c.add("regions", quote(name)+" is not a region's name", "write a to z, 0 to 9 and inner hyphens")
			continue
		}
		upstreams := pf.Regions[name].Upstreams
		c.list(field+".upstreams", upstreams, maxUpstreams)
		for i, upstream := range upstreams {
			c.upstream(item(field+".upstreams", i), upstream)
		}
	}
	c.span("retention.audit", pf.Retention.Audit, Duration(24*time.Hour), Duration(20*8760*time.Hour))
	c.aliases(pf.HeaderAliases)
	c.mail(pf.Mail)
	return c.problems
}

func (c *checker) floorItself(f Floor) {
	const year = Duration(8760 * time.Hour)
	if f.SecondFactor != "" {
		c.oneOf("floor.second_factor", string(f.SecondFactor), stageNames)
	}
	c.span("floor.idle", f.Idle, 0, year)
	c.span("floor.absolute", f.Absolute, 0, year)
	if f.OutageGrace != nil {
		c.span("floor.outage_grace", *f.OutageGrace, 0, year)
	}
	if f.RememberDevice != nil {
		c.span("floor.remember_device", *f.RememberDevice, 0, year)
	}
}

func (c *checker) mail(m Mail) {
	if m == (Mail{}) {
		return
	}
	c.email("mail.from", m.From)
	c.upstream("mail.server", m.Server)
	if m.Password != nil {
		c.secret("mail.password", *m.Password)
	}
}
