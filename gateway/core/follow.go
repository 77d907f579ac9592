package core

import (
	"context"
	"errors"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/bus"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// follow lets the parts learn of changes made elsewhere, each before the next.
// Sessions subscribe by themselves.
func (c *Core) follow() {
	c.Feed.Subscribe(c.Directory.Follow)
	c.Directory.OnChange(c.reviewStreams)
	c.Directory.OnRetire(c.Audit.Forget) // THREATS T5
	c.Feed.Subscribe(func(change bus.Change) {
		// What was opened with somebody's former roles and factors is opened anew with
		// the present ones or not at all: nothing decides about a stream again while it
		// is open (THREATS C7, Z3; TestRolesChangeOnLiveSessions).
		if change.Kind == bus.KindPerson {
			c.Streams.CutUser(change.Practice, change.Ref)
		}
	})
	c.Feed.Subscribe(func(change bus.Change) {
		if change.Kind != bus.KindKeys && change.Kind != bus.KindAll {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), followTimeout)
		defer cancel()
		if err := c.Vault.Signing().Reload(ctx); err != nil {
			c.Log().Error("signing keys could not be read again", "reason", err)
		}
	})
}

const followTimeout = 10 * time.Second

// reviewStreams ends the open streams that a practice's new policy would not let begin,
// and all of a practice that is not served any more, from wherever the directory
// learned of it (THREATS Z3). The others go on: a change of one line, or of the
// platform's document, which is a change for every practice, must not make the screens
// of all clinics connect again in the same second.
func (c *Core) reviewStreams(id policy.PracticeID) {
	if p := c.Directory.ByID(id); p == nil || p.Suspended || p.Broken != "" {
		c.Streams.CutPractice(id)
		return
	}
	c.Streams.Review(id)
}

// practiceName is what people call a practice.
func (c *Core) practiceName(id policy.PracticeID) string {
	if p := c.Directory.ByID(id); p != nil && p.Policy != nil {
		return p.Policy.Name()
	}
	return ""
}

// sessionLimits lists the practices whose expired sessions are to be deleted.
func (c *Core) sessionLimits() []session.Practice {
	var limits []session.Practice
	for _, p := range c.Directory.All() {
		if p.Policy != nil {
			limits = append(limits, SessionLimits(p))
		}
	}
	return limits
}

// SessionLimits are what a practice's policy says about its sessions. A practice
// without a usable policy has none, and so no session.
func SessionLimits(p *directory.Practice) session.Practice {
	return session.Practice{
		ID: p.ID, Idle: p.Policy.Idle(), Absolute: p.Policy.Absolute(),
		OutageGrace: p.Policy.OutageGrace(), MaxPerUser: p.Policy.MaxPerUser(),
	}
}

// personChanged tells all nodes that a person's roles, factors or standing changed,
// so that live sessions follow within a second (THREATS C7).
func (c *Core) personChanged(ctx context.Context, id policy.PracticeID, person string) error {
	return c.Feed.Publish(ctx, bus.Change{Practice: id, Kind: bus.KindPerson, Ref: person})
}

// people is the account service as sessions see it.
type people struct{ core *Core }

// Person reads one person.
func (p people) Person(ctx context.Context, id policy.PracticeID, person string) (session.Person, error) {
	found, err := p.core.Accounts.ByID(ctx, id, person)
	if errors.Is(err, account.ErrUnknown) {
		return session.Person{}, session.ErrNoPerson
	}
	if err != nil {
		return session.Person{}, err
	}
	return session.Person{
		ID: found.ID, Email: found.Email, Name: found.Name, Roles: found.Roles, Disabled: found.Disabled,
		HasSecondFactor: found.HasTOTP && p.core.accepts(id, "totp"), GraceUntil: found.GraceUntil,
	}, nil
}

// accepts reports whether the practice's policy takes a kind of second factor.
func (c *Core) accepts(id policy.PracticeID, kind string) bool {
	p := c.Directory.ByID(id)
	return p != nil && p.Policy != nil && p.Policy.AcceptsFactor(kind)
}
