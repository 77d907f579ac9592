package command

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

// question is a request to be tried on a policy, as people write it: in the flags of
// explain and in the cases of simulate.
type question struct {
	Name         string          `yaml:"name"`
	User         string          `yaml:"user"`          // e-mail address or id; with neither User nor Roles nobody is signed in
	Roles        []string        `yaml:"roles"`         // somebody with these roles, instead of User
	Level        string          `yaml:"level"`         // proved in the session; default: what their sign-in gives
	SecondFactor bool            `yaml:"second_factor"` // they have one set up; of a User the database knows
	ProvedAgo    policy.Duration `yaml:"proved_ago"`    // how long ago they proved their level
	Method       string          `yaml:"method"`        // default GET
	Path         string          `yaml:"path"`
	Client       string          `yaml:"client"` // address; default: one inside network.allow
}

// request is the question's request. An ambiguous path is kept as it is: the policy
// refuses it, as the gateway does.
func (q question) request(p *policy.Policy, now time.Time) (policy.Request, error) {
	r := policy.Request{Method: q.Method, Now: now, Client: insideOf(p)}
	if r.Method == "" {
		r.Method = "GET"
	}
	if q.Client != "" {
		addr, err := netip.ParseAddr(q.Client)
		if err != nil {
			return r, usage("%.60q is no client address", q.Client)
		}
		r.Client = addr.Unmap().WithZone("")
	}
	path, _, _ := strings.Cut(q.Path, "?") // the query never takes part in a rule
	if !strings.HasPrefix(path, "/") {
		return r, usage("the path %.60q does not begin with a slash", q.Path)
	}
	r.Path = path
	if canonical, err := policy.CanonicalPath(path); err == nil {
		r.Path = canonical
	}
	return r, nil
}

// insideOf is an address that the policy's network rule admits, so that questions about
// people and paths need not name one.
func insideOf(p *policy.Policy) netip.Addr {
	for _, cidr := range p.Document().Network.Allow {
		if prefix, err := netip.ParsePrefix(cidr); err == nil {
			return prefix.Addr()
		}
		if addr, err := netip.ParseAddr(cidr); err == nil {
			return addr
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// subject is who the question is about; nil is nobody.
func (c *call) subject(ctx context.Context, p *directory.Practice, q question, now time.Time) (*policy.Subject, error) {
	if q.User != "" && len(q.Roles) > 0 {
		return nil, usage("name a person or roles, not both")
	}
	if q.User == "" && len(q.Roles) == 0 {
		if q.Level != "" || q.SecondFactor {
			return nil, usage("a level or a second factor needs somebody who has it: name a person or roles")
		}
		return nil, nil
	}
	s := &policy.Subject{UserID: "somebody", Roles: q.Roles, HasSecondFactor: q.SecondFactor}
	if q.User == "" {
		if err := knownRoles(p, q.Roles); err != nil {
			return nil, err
		}
	} else {
		who, err := c.person(ctx, p.ID, q.User)
		if err != nil {
			return nil, err
		}
		if who.Disabled {
			return nil, refuse("%s is disabled: no session of theirs is served, whatever the policy says", who.Email)
		}
		s = subjectOf(p.Policy, who)
	}
	level := policy.AAL1
	if s.HasSecondFactor {
		level = policy.AAL2
	}
	if q.Level != "" {
		var err error
		if level, err = policy.ParseLevel(q.Level); err != nil {
			return nil, errUsage{err}
		}
	}
	prove(s, level, now.Add(-time.Duration(q.ProvedAgo)))
	return s, nil
}

// subjectOf is a person as the gateway sees them once they are signed in.
func subjectOf(p *policy.Policy, who account.Person) *policy.Subject {
	return &policy.Subject{
		UserID: who.ID, Roles: who.Roles, GraceUntil: who.GraceUntil,
		HasSecondFactor: who.HasTOTP && p.AcceptsFactor("totp"),
	}
}

// prove gives a subject a level and all below it.
func prove(s *policy.Subject, level policy.Level, at time.Time) {
	s.Level = level
	for l := policy.AAL1; l <= level; l++ {
		s.ProvedAt[l] = at
	}
	if level >= policy.AAL2 && s.UserID == "somebody" {
		s.HasSecondFactor = true
	}
	if level >= policy.AAL2PR {
		s.HasPhishingResistant = true
	}
}

// describe says in words who asks.
func describe(q question, s *policy.Subject) string {
	if s == nil {
		return "nobody who is signed in"
	}
	who := q.User
	if who == "" {
		who = "somebody"
	}
	roles := slices.Clone(s.Roles)
	slices.Sort(roles)
	text := fmt.Sprintf("%s (%s), signed in with %s", who, strings.Join(roles, ", "), s.Level)
	if q.ProvedAgo > 0 {
		text += fmt.Sprintf(" %s ago", q.ProvedAgo)
	}
	if !s.HasSecondFactor {
		text += ", no second factor set up"
	}
	return text
}
