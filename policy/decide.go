package policy

import (
	"slices"
	"time"
)

// Decide says what to do with a request of s (nil: nobody). It allocates nothing while the path is ASCII, and takes no
// lock. A nil policy, a zero subject, a zero request: none of them is ever allowed.
func (p *Policy) Decide(s *Subject, r Request) Decision {
	return p.walk(s, &r, asRequested, nil)
}

// Baseline says what s needs to be signed in at all, before any rule about a path: the network, the practice's roles, the
// second factor. The sign-in pages ask it after a password; Method and Path of r are not looked at.
func (p *Policy) Baseline(s *Subject, r Request) Decision {
	return p.walk(s, &r, asBaseline, nil)
}

// scope says which of the rules a walk looks at.
type scope bool

const (
	asRequested scope = true  // all
	asBaseline  scope = false // those of every signed-in request
)

// walk is the one way to a decision; Decide, Baseline and Explain differ only in what they hand it. t may be nil.
func (p *Policy) walk(s *Subject, r *Request, sc scope, t *trace) Decision {
	if reason := p.admit(r, sc, t); reason != "" {
		return Decision{reason: reason}
	}
	path := foldPath(r.Path)
	rule, from := (*accessRule)(nil), len(p.access)
	if sc == asRequested {
		rule, from = p.accessFor(path)
	}
	if rule != nil && rule.public && !p.stepsUp(r.Method, path) {
		t.open(rule)
		return Decision{verdict: Allow, reason: ReasonPublic, public: true, rule: rule.name}
	}
	b := balance{subject: s, now: r.Now}
	if !b.signedIn() {
		t.subject(nil)
		p.weigh(&b, r.Method, path, sc, nil)
		return Decision{verdict: SignIn, reason: ReasonSignInNeeded, need: max(AAL1, b.need), maxAge: b.maxAge}
	}
	t.subject(s)
	if reason, name := p.roleMissing(s, path, from, t); reason != "" {
		return Decision{reason: reason, rule: name}
	}
	p.weigh(&b, r.Method, path, sc, t)
	return b.decision(rule)
}

// admit checks what holds for everybody, signed in or not, public path or not.
func (p *Policy) admit(r *Request, sc scope, t *trace) Reason {
	reason := Reason("")
	switch {
	case p == nil || !p.ok:
		reason = ReasonNoPolicy
	case r.Now.IsZero():
		reason = ReasonTimeMissing
	case sc == asRequested && !isCanonical(r.Path):
		reason = ReasonPathRefused
	case sc == asRequested && isReserved(r.Path):
		reason = ReasonPathReserved
	case sc == asRequested && !isForwarded(r.Method):
		reason = ReasonMethodRefused
	case !p.insideNetwork(r.Client):
		reason = ReasonNetworkOutside
	}
	t.admit(p, r, reason)
	return reason
}

// isForwarded knows the methods of RFC 9110 and RFC 5789 that a backend may see, letter for letter. TRACE echoes
// credentials, CONNECT opens tunnels, and what is not standard means something else to every backend (THREATS P2).
func isForwarded(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return true
	}
	return false
}

// reservedPath is where the gateway's own pages are. A request for it that gets as far as a decision must stop there.
const reservedPath = "/.gate"

func isReserved(path string) bool {
	return hasPrefixASCIIFold(path, reservedPath) && (len(path) == len(reservedPath) || path[len(reservedPath)] == '/')
}

// accessFor is the first rule that covers the path, and its place.
func (p *Policy) accessFor(path foldedPath) (*accessRule, int) {
	for i := range p.access {
		if p.access[i].matches(path) {
			return &p.access[i], i
		}
	}
	return nil, len(p.access)
}

// stepsUp says whether a step-up rule matches: it then closes the path to strangers even where an access rule opens it.
func (p *Policy) stepsUp(method string, path foldedPath) bool {
	for i := range p.stepUp {
		if p.stepUp[i].matches(method, path) {
			return true
		}
	}
	return false
}

// roleMissing wants one of the practice's roles of everybody, and one of the rule's where a rule narrows the path. from is
// the first rule that covers it. If that does so only in another spelling, to some backends it is another path: then the
// rules behind it bind too, up to the first that says the path as it is.
func (p *Policy) roleMissing(s *Subject, path foldedPath, from int, t *trace) (Reason, string) {
	if !shareRole(s.Roles, p.roles) {
		t.role("roles", p.roles, false)
		return ReasonRoleMissing, "roles"
	}
	t.role("roles", p.roles, true)
	for i := from; i < len(p.access); i++ {
		rule := &p.access[i]
		if !rule.matches(path) {
			continue
		}
		if !rule.public {
			held := shareRole(s.Roles, rule.roles)
			t.role(rule.name, rule.roles, held)
			if !held {
				return ReasonRuleRoleMissing, rule.name
			}
		}
		if rule.covers(path.raw) {
			break
		}
	}
	return "", ""
}

func shareRole(have, want []string) bool {
	for i := range have {
		if slices.Contains(want, have[i]) {
			return true
		}
	}
	return false
}

// weigh puts every demand of the policy on the scales, in the document's order.
func (p *Policy) weigh(b *balance, method string, path foldedPath, sc scope, t *trace) {
	b.staged(demand{rule: ruleSecondFactor, level: AAL2}, &p.secondFactor, t)
	if b.subject != nil && shareRole(b.subject.Roles, p.phishingRoles) {
		b.staged(demand{rule: rulePhishing, level: AAL2PR}, &p.phishing, t)
	}
	if sc == asBaseline {
		return
	}
	for i := range p.stepUp {
		if p.stepUp[i].matches(method, path) {
			b.enforce(p.stepUp[i].need, t)
		}
	}
}

const (
	ruleSecondFactor = "sign_in.second_factor"
	rulePhishing     = "sign_in.phishing_resistant"
)

// end is when grace ends for one person: their own date, else the policy's, never past the platform's limit.
func (g *staged) end(own time.Time) time.Time {
	end := g.until
	if !own.IsZero() {
		end = own
	}
	if !g.latest.IsZero() && end.After(g.latest) {
		end = g.latest
	}
	return end
}
