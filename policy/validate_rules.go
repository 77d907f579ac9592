package policy

import (
	"fmt"
	"strings"
	"time"
)

var forwardedMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func (c *checker) access(d *Document) {
	if len(d.Access) > maxRules {
		c.add("access", fmt.Sprintf("has %d rules, more than the %d that are read", len(d.Access), maxRules), "remove some")
		return
	}
	patterns := make([]pattern, len(d.Access))
	for i, rule := range d.Access {
		field := item("access", i)
		sound := c.rulePath(field+".path", rule.Path)
		patterns[i] = compilePattern(rule.Path)
		c.accessAudience(field, rule, d)
		if !sound {
			continue
		}
		for j := range i {
			if patterns[j].shadows(&patterns[i]) {
				c.add(field+".path", fmt.Sprintf("%s is never reached: %s comes first and covers it", rule.Path,
					ruleName("access", j, d.Access[j].Path)), "put the narrower rule first")
				break
			}
		}
	}
}

// accessAudience wants exactly one of public and roles. A rule with neither could mean everybody or nobody.
func (c *checker) accessAudience(field string, rule AccessRule, d *Document) {
	switch {
	case rule.Public && len(rule.Roles) > 0:
		c.add(field, "is public and names roles", "keep one of public and roles")
	case rule.Public && rule.Path == "/*":
		c.add(field, "opens the whole practice to everybody", "name the paths that are public")
	case !rule.Public && len(rule.Roles) == 0:
		c.add(field, "says neither public: true nor for which roles it is", "add one of them")
	}
	c.knownRoles(field+".roles", rule.Roles, d)
}

// shadows says whether every path of q is one of p too, letter case aside.
func (p *pattern) shadows(q *pattern) bool {
	if !p.below {
		return !q.below && p.folded == q.folded
	}
	return strings.HasPrefix(q.folded, p.folded) && p.ends(q.folded, len(p.folded)) || p.folded == q.folded
}

func (c *checker) stepUp(d *Document) {
	if len(d.StepUp) > maxRules {
		c.add("step_up", fmt.Sprintf("has %d rules, more than the %d that are read", len(d.StepUp), maxRules), "remove some")
		return
	}
	for i, rule := range d.StepUp {
		field := item("step_up", i)
		c.rulePath(field+".path", rule.Path)
		c.words(field+".methods", rule.Methods, forwardedMethods)
		switch {
		case rule.Level < AAL1 || rule.Level > AAL2PR:
			c.add(field+".level", "is missing", "write one of aal1, aal2, aal2-pr")
		case rule.Level == AAL2 && len(d.SignIn.SecondFactor.Accept) == 0:
			c.add(field+".level", "asks for aal2, which nobody can reach here", "add totp to sign_in.second_factor.accept")
		case rule.Level == AAL2PR && !d.reachesPhishingResistant():
			c.add(field+".level", "asks for aal2-pr, which nobody can reach here", unreachableRemedy)
		}
		if rule.MaxAge != 0 {
			c.span(field+".max_age", rule.MaxAge, Duration(time.Second), Duration(720*time.Hour))
		}
	}
}

// rulePath wants a path that can match something: decoded, canonical, a star only as "/*" at the end.
func (c *checker) rulePath(field, path string) bool {
	reason, remedy := rulePathFault(path)
	if reason != "" {
		c.add(field, quote(path)+" "+reason, remedy)
	}
	return reason == ""
}

func rulePathFault(path string) (reason, remedy string) {
	exact := strings.TrimSuffix(path, "/*")
	if path == "/*" {
		return "", ""
	}
	switch {
	case path == "":
		return "is missing", "write /x for one path, or /x/* for it and all below it"
	case strings.Contains(exact, "*"):
		return "has a star that is not a last /*", "write /x for one path, or /x/* for it and all below it"
	case path[0] != '/':
		return `does not begin with "/"`, "write /" + path
	case strings.Contains(path, "%"):
		return "is percent-encoded", "write the path decoded"
	case strings.Contains(path, "?"):
		return "has a query, which never takes part in a rule", "write the path alone"
	case len(path) > 1 && strings.HasSuffix(path, "/"):
		return `ends in "/"`, "write " + strings.TrimRight(path, "/") + "/* to cover what is below it"
	case !isCanonical(exact) || checkUnicode(exact) != nil:
		return "can never match: such a request is refused before any rule", "write a path without //, ., .., \\, ; or #"
	case isReserved(exact):
		return "belongs to the gateway", "rules are for the backend's paths only"
	case len(path) > 1024:
		return "is longer than 1024 bytes", "shorten it"
	}
	return "", ""
}
