package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"clinicgate/policy"
)

// The generators draw from small sets, so that rules, roles and paths meet often.
var (
	somePaths   = []string{"/a", "/a/b", "/a/b/c", "/b", "/b/c", "/c"}
	someRoles   = []string{"practice_admin", "clinician", "billing"}
	someMethods = []string{"GET", "HEAD", "POST", "DELETE"}
	someStages  = []policy.Stage{policy.Off, policy.Report, policy.Grace, policy.Enforced}
	someCIDRs   = []string{"203.0.113.0/25", "203.0.113.128/25", "198.51.100.0/24", "2001:db8::/32"}
	someAges    = []time.Duration{0, time.Minute, 10 * time.Minute, time.Hour}
)

func drawInstant(t *rapid.T, name string) time.Time {
	if rapid.Bool().Draw(t, name+" set") {
		return now.Add(time.Duration(rapid.IntRange(-180, 180).Draw(t, name)) * time.Minute)
	}
	return time.Time{}
}

func subset(t *rapid.T, of []string, least int, name string) []string {
	out := slices.DeleteFunc(slices.Clone(of), func(string) bool { return !rapid.Bool().Draw(t, name) })
	for i := 0; len(out) < least; i++ {
		out = append(out, of[i])
	}
	return slices.Compact(out)
}

func drawRulePath(t *rapid.T) string {
	path := rapid.SampledFrom(somePaths).Draw(t, "rule path")
	if rapid.Bool().Draw(t, "below") {
		path += "/*"
	}
	return path
}

func drawStepUp(t *rapid.T) policy.StepUpRule {
	return policy.StepUpRule{
		Path: drawRulePath(t), Methods: subset(t, someMethods, 0, "rule method"),
		Level:  policy.Level(rapid.IntRange(1, 3).Draw(t, "rule level")),
		MaxAge: span(rapid.SampledFrom(someAges).Draw(t, "rule age")),
	}
}

// drawDocument draws a document that Compile accepts.
func drawDocument(t *rapid.T) policy.Document {
	d := document()
	d.Roles = someRoles
	d.SignIn.SecondFactor.Stage = rapid.SampledFrom(someStages).Draw(t, "second factor")
	if until := drawInstant(t, "grace"); !until.IsZero() {
		d.SignIn.SecondFactor.GraceUntil = &until
	}
	d.SignIn.PhishingResistant.Stage = rapid.SampledFrom(someStages).Draw(t, "phishing resistant")
	d.SignIn.PhishingResistant.Roles = subset(t, someRoles, 1, "phishing role")
	d.Network.Allow = subset(t, someCIDRs, 0, "network")
	d.Access, d.StepUp = nil, nil
	for range rapid.IntRange(0, 4).Draw(t, "access rules") {
		rule := policy.AccessRule{Path: drawRulePath(t), Public: rapid.Bool().Draw(t, "public")}
		if !rule.Public {
			rule.Roles = subset(t, someRoles, 1, "rule role")
		}
		d.Access = append(d.Access, rule)
		if len(d.Check()) > 0 {
			d.Access = d.Access[:len(d.Access)-1] // never reached
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "step-up rules") {
		d.StepUp = append(d.StepUp, drawStepUp(t))
	}
	return d
}

func drawSubject(t *rapid.T) *policy.Subject {
	if rapid.IntRange(0, 9).Draw(t, "nobody") == 0 {
		return nil
	}
	s := &policy.Subject{
		UserID:               rapid.SampledFrom([]string{"", "0b5c", "0b5c", "0b5c"}).Draw(t, "user"),
		Roles:                subset(t, append([]string{"stranger"}, someRoles...), 0, "role"),
		Level:                policy.Level(rapid.IntRange(-1, 4).Draw(t, "level")),
		HasSecondFactor:      rapid.Bool().Draw(t, "has second factor"),
		HasPhishingResistant: rapid.Bool().Draw(t, "has phishing resistant"),
		GraceUntil:           drawInstant(t, "own grace"),
	}
	for l := range s.ProvedAt {
		s.ProvedAt[l] = drawInstant(t, "proved")
	}
	return s
}

func drawRequest(t *rapid.T) policy.Request {
	path := rapid.SampledFrom(append([]string{"/", "/A/B", "/ab", "/B/c"}, somePaths...)).Draw(t, "path")
	return policy.Request{
		Method: rapid.SampledFrom(append([]string{"TRACE", "get"}, someMethods...)).Draw(t, "method"), Path: path,
		Client: netip.MustParseAddr(rapid.SampledFrom([]string{"203.0.113.7", "203.0.113.200", "2001:db8::7", "192.0.2.1"}).
			Draw(t, "client")),
		Now: now,
	}
}

func must(t *rapid.T, d policy.Document) *policy.Policy {
	p, err := policy.Compile(d, policy.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// covers is the rule of paths said once more, by other means.
func covers(rule, path string) bool {
	rule, path = strings.ToLower(rule), strings.ToLower(path)
	base, below := strings.CutSuffix(rule, "/*")
	return path == base || below && strings.HasPrefix(path, base+"/")
}

func TestNeverAllowsBelowTheRulesAssurance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, s, r := drawDocument(t), drawSubject(t), drawRequest(t)
		got := must(t, d).Decide(s, r)
		if !got.Allowed() {
			return
		}
		for _, rule := range d.StepUp {
			hit := covers(rule.Path, r.Path) && (len(rule.Methods) == 0 || slices.Contains(rule.Methods, r.Method) ||
				r.Method == "HEAD" && slices.Contains(rule.Methods, "GET"))
			if hit && (got.Public() || !meets(s, rule.Level, time.Duration(rule.MaxAge))) {
				t.Fatalf("allowed %s %s below %+v", r.Method, r.Path, rule)
			}
		}
		if got.Public() {
			return
		}
		if s == nil || s.UserID == "" || s.Level < policy.AAL1 || s.Level > policy.AAL2PR {
			t.Fatal("allowed nobody")
		}
		if d.SignIn.SecondFactor.Stage == policy.Enforced && !meets(s, policy.AAL2, 0) {
			t.Fatal("allowed below an enforced second factor")
		}
		phished := slices.ContainsFunc(s.Roles, func(r string) bool { return slices.Contains(d.SignIn.PhishingResistant.Roles, r) })
		if phished && d.SignIn.PhishingResistant.Stage == policy.Enforced && !meets(s, policy.AAL2PR, 0) {
			t.Fatal("allowed below an enforced phishing-resistant factor")
		}
		for _, rule := range d.Access {
			if !rule.Public && covers(rule.Path, r.Path) {
				if !slices.ContainsFunc(s.Roles, func(r string) bool { return slices.Contains(rule.Roles, r) }) {
					t.Fatalf("allowed without a role of %+v", rule)
				}
				break
			}
			if rule.Public && covers(rule.Path, r.Path) {
				break
			}
		}
	})
}

func meets(s *policy.Subject, l policy.Level, age time.Duration) bool {
	if s == nil || s.Level < l || l == policy.AAL2 && !s.HasSecondFactor && !s.HasPhishingResistant || l == policy.AAL2PR && !s.HasPhishingResistant {
		return false
	}
	return age == 0 || slices.ContainsFunc(s.ProvedAt[l:], func(at time.Time) bool {
		return !at.IsZero() && now.Sub(at) <= age
	})
}

// strengthenings are the changes after which no request may be allowed that was not allowed before. Each reports whether
// it found something to change.
var strengthenings = map[string]func(*rapid.T, *policy.Document) bool{
	"raises the second factor's stage": func(t *rapid.T, d *policy.Document) bool {
		return raise(t, &d.SignIn.SecondFactor.Stage)
	},
	"raises the phishing-resistant stage": func(t *rapid.T, d *policy.Document) bool {
		return raise(t, &d.SignIn.PhishingResistant.Stage)
	},
	"ends the grace earlier": func(t *rapid.T, d *policy.Document) bool {
		if d.SignIn.SecondFactor.GraceUntil == nil {
			return false
		}
		d.SignIn.SecondFactor.GraceUntil = new(d.SignIn.SecondFactor.GraceUntil.Add(-time.Hour))
		return true
	},
	"adds a step-up rule": func(t *rapid.T, d *policy.Document) bool {
		d.StepUp = slices.Insert(d.StepUp, rapid.IntRange(0, len(d.StepUp)).Draw(t, "at"), drawStepUp(t))
		return true
	},
	"raises a step-up rule's level": func(t *rapid.T, d *policy.Document) bool {
		if len(d.StepUp) == 0 || d.StepUp[0].Level == policy.AAL2PR {
			return false
		}
		d.StepUp[0].Level++
		return true
	},
	"shortens a step-up rule's age": func(t *rapid.T, d *policy.Document) bool {
		if len(d.StepUp) == 0 {
			return false
		}
		d.StepUp[0].MaxAge = span(time.Second)
		return true
	},
	"removes a role from a rule": func(t *rapid.T, d *policy.Document) bool {
		for i := range d.Access {
			if len(d.Access[i].Roles) > 1 {
				d.Access[i].Roles = d.Access[i].Roles[1:]
				return true
			}
		}
		return false
	},
	"removes a role from the practice": func(t *rapid.T, d *policy.Document) bool {
		role := d.Roles[0]
		if slices.Contains(d.SignIn.PhishingResistant.Roles, role) {
			return false // whoever holds it would be asked for less
		}
		d.Roles = d.Roles[1:]
		for i := range d.Access {
			d.Access[i].Roles = slices.DeleteFunc(d.Access[i].Roles, func(r string) bool { return r == role })
		}
		return true
	},
	"adds a role to the phishing-resistant rule": func(t *rapid.T, d *policy.Document) bool {
		d.SignIn.PhishingResistant.Roles = d.Roles
		return true
	},
	"closes a public path": func(t *rapid.T, d *policy.Document) bool {
		before := len(d.Access)
		d.Access = slices.DeleteFunc(d.Access, func(r policy.AccessRule) bool { return r.Public })
		return len(d.Access) < before
	},
	"shrinks the network": func(t *rapid.T, d *policy.Document) bool {
		if len(d.Network.Allow) == 0 {
			d.Network.Allow = []string{rapid.SampledFrom(someCIDRs).Draw(t, "only")}
			return true
		}
		d.Network.Allow = d.Network.Allow[1:]
		return len(d.Network.Allow) > 0 // an empty list is every network
	},
}

func raise(t *rapid.T, s *policy.Stage) bool {
	i := slices.Index(someStages, *s)
	*s = someStages[rapid.IntRange(i, len(someStages)-1).Draw(t, "stage")]
	return true
}

func TestStrengtheningNeverAllowsMore(t *testing.T) {
	for name, strengthen := range strengthenings {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				d := drawDocument(t)
				stronger := d.Clone()
				if !strengthen(t, &stronger) || len(stronger.Check()) > 0 {
					return
				}
				old, next := must(t, d), must(t, stronger)
				for range 8 {
					s, r := drawSubject(t), drawRequest(t)
					o := policy.Simulate(old, next, []policy.Case{{Subject: s, Request: r}})[0]
					if o.Widens() || o.New.Public() && !o.Old.Public() {
						t.Fatalf("%s %s as %+v\nbefore: %s\nafter: %s", r.Method, r.Path, s, old.Explain(s, r), next.Explain(s, r))
					}
				}
			})
		})
	}
}

func TestExplainAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, s, r := must(t, drawDocument(t)), drawSubject(t), drawRequest(t)
		d, e := p.Decide(s, r), p.Explain(s, r)
		if e.Decision() != d || e.Verdict != d.Verdict() || e.Reason != d.Reason() || e.Need != d.Need() {
			t.Fatalf("Decide says %+v, Explain says %s", d, e)
		}
		stopped := slices.ContainsFunc(e.Steps, func(s policy.Step) bool { return s.Result == "stop" })
		if len(e.Steps) == 0 || stopped == d.Allowed() {
			t.Fatalf("allowed is %v, but the steps are %s", d.Allowed(), e)
		}
	})
}

func TestOnlyAllowIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := must(t, drawDocument(t)).Decide(drawSubject(t), drawRequest(t))
		if d.Allowed() != (d.Verdict() == policy.Allow) || d.Public() && !d.Allowed() {
			t.Fatalf("%+v", d)
		}
		if d.Reason() == policy.ReasonUndecided || d.Reason().Sentence() == policy.Reason("x").Sentence() {
			t.Fatalf("the reason of %+v has no sentence", d)
		}
	})
}
