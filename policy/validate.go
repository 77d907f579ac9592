package policy

import (
	"strings"
	"time"
)

// Bounds on what one document may hold. They are far above any practice's need and keep a decision quick.
const (
	maxHosts     = 100
	maxUpstreams = 64
	maxNetworks  = 256
	maxRoles     = 64
	maxRules     = 200
	maxProviders = 20
)

var (
	signInMethods = []string{"password", "passkey", "sso"}
	factorKinds   = []string{"totp", "passkey"}
	bindings      = []string{"observe", "step_up", "revoke"}
	deviceKeys    = []string{"off", "prefer", "require"}
)

// Validate lists all that is wrong with d on this platform; nil when nothing is.
func (d Document) Validate(pf Platform) []Problem {
	return append(d.Check(), d.CheckPlatform(pf)...)
}

// Check lists what is wrong with d whatever the platform, in the document's order.
func (d Document) Check() []Problem {
	c := &checker{}
	c.identity(&d)
	c.signIn(&d)
	c.providers(&d)
	c.session(d.Session)
	c.oneOf("binding.action", d.Binding.Action, bindings)
	c.oneOf("binding.device_key", d.Binding.DeviceKey, deviceKeys)
	c.list("network.allow", d.Network.Allow, maxNetworks)
	for i, cidr := range d.Network.Allow {
		c.network(item("network.allow", i), cidr)
	}
	c.roles(d.Roles)
	c.access(&d)
	c.stepUp(&d)
	return c.problems
}

func (c *checker) identity(d *Document) {
	if _, err := ParsePracticeID(string(d.Practice)); d.Practice == "" {
		c.add("practice", "is missing", "write 2 to 40 of a to z, 0 to 9 and inner hyphens")
	} else if err != nil {
		c.add("practice", quote(string(d.Practice))+" is not a practice id", "write 2 to 40 of a to z, 0 to 9 and inner hyphens")
	}
	c.text("name", d.Name, 100)
	if len(d.Hosts) == 0 {
		c.add("hosts", "is missing", "name at least one host, such as clinic.example.org")
	}
	c.list("hosts", d.Hosts, maxHosts)
	for i, host := range d.Hosts {
		c.host(item("hosts", i), host)
	}
	if d.Region != "" && (!isLabel(d.Region) || len(d.Region) > 40) {
		c.add("region", quote(d.Region)+" is not a region's name", "write one of the platform's regions")
	}
	c.timezone(d.Timezone)
	c.list("upstreams", d.Upstreams, maxUpstreams)
	for i, upstream := range d.Upstreams {
		c.upstream(item("upstreams", i), upstream)
	}
}

// timezone wants an IANA name; "Local" would be the server's.
func (c *checker) timezone(name string) {
	const remedy = "write an IANA name such as Australia/Sydney or Europe/Berlin"
	if name == "" {
		c.add("timezone", "is missing", remedy)
		return
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		c.add("timezone", quote(name)+" is not a time zone", remedy)
	}
}

func (c *checker) session(s Session) {
	const hour = Duration(time.Hour)
	idle := c.span("session.idle", s.Idle, Duration(time.Second), 24*hour)
	absolute := c.span("session.absolute", s.Absolute, Duration(time.Second), 720*hour)
	if idle && absolute && s.Absolute < s.Idle {
		c.add("session.absolute", s.Absolute.String()+" is shorter than session.idle, "+s.Idle.String(),
			"write at least "+s.Idle.String())
	}
	if s.MaxPerUser < 0 || s.MaxPerUser > 1000 {
		c.add("session.max_per_user", "is outside 0 to 1000", "write 0 for no limit")
	}
	c.span("session.outage_grace", s.OutageGrace, 0, hour)
	c.span("session.remember_device", s.RememberDevice, 0, 2160*hour)
}

func (c *checker) roles(roles []string) {
	if len(roles) == 0 {
		c.add("roles", "is missing", "name at least one role: without one nobody can be let in")
	}
	c.list("roles", roles, maxRoles)
	for i, role := range roles {
		c.role(item("roles", i), role)
	}
}

// knownRoles wants every role of a list to be one of the practice's.
func (c *checker) knownRoles(field string, roles []string, d *Document) {
	c.list(field, roles, maxRoles)
	for i, role := range roles {
		c.knownRole(item(field, i), role, d)
	}
}

func (c *checker) knownRole(field, role string, d *Document) {
	for _, known := range d.Roles {
		if role == known {
			return
		}
	}
	remedy := "add it to roles, or write one of " + strings.Join(d.Roles, ", ")
	if near := Nearest(role, d.Roles); near != "" {
		remedy = "did you mean " + near + "?"
	}
	c.add(field, quote(role)+" is not one of the practice's roles", remedy)
}
