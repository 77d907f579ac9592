// Package limit decides how often somebody may try to sign in.
//
// Every attempt is taken from the budgets before any password or code is
// looked at, so that parallel attempts cannot overrun them; a success gives
// back what it took. What stays is therefore the number of failures, plus the
// attempts that are being checked at this moment. A refused attempt takes
// nothing: whoever hammers one closed door does not close the others.
//
// The defaults, each for one kind of attempt (passwords and codes are counted
// apart) and with a column of its own for known devices, so that strangers
// cannot use up what the clinic's own workstations need:
//
//	budget                 strangers              known devices          keyed by
//	address                100 in 10 min          300 in 10 min          address, IPv6 its /64
//	address, all day       400 in 24 h            2,000 in 24 h          the same
//	practice               600 in 10 min          3,000 in 10 min        practice
//	gateway                10,000 in 10 min       50,000 in 10 min       everything
//	account, password      5, then one attempt every 2, 4, 8 … seconds up to 15 min, forgotten after 24 h
//	account, code          5, then one attempt every 30, 60, 120 … seconds up to 15 min, forgotten after 24 h
//
// Why these: a clinic of 200 behind one address, a third of them mistyping at
// 8 a.m., leaves about 66 failures in ten minutes and stays below 100. One
// address that guesses 20 passwords a minute over many accounts stops after
// five minutes, and after 400 guesses for the rest of the day. One account
// can be guessed at about 110 times a day from everywhere together; against a
// six-digit code of which three are valid at a time that is a chance of
// 1 in 3,000 a day, and only for somebody who has the password already. The
// account's budget does not depend on the address (THREATS F2), and it never
// looks at whether the account exists (L1). Nothing locks for good: the
// longest wait is 15 minutes for an account, and 24 hours for an address that
// has failed 400 times.
//
// Windows are fixed and begin with their first attempt, so around the edge of
// a window up to twice the number can pass; the numbers above allow for that.
//
// Nodes that share a Redis count there together, and each for itself as well.
// While Redis does not answer each goes on with what it knows: N nodes then
// give at most N budgets in the place of one.
package limit

import (
	"context"
	"net/netip"
	"time"

	"clinicgate/policy"
)

// Kind says what is being tried. The zero Kind is none and is refused.
type Kind int8

// The kinds of attempt. Each has budgets of its own, so that a right password
// never buys more guesses at the code (THREATS F2).
const (
	KindPassword Kind = iota + 1
	KindTOTP
	kinds // number of kinds, plus one
)

// String returns the stable name of the kind.
func (k Kind) String() string {
	switch k {
	case KindPassword:
		return "password"
	case KindTOTP:
		return "totp"
	}
	return "none"
}

// Attempt is one try of a password or a code. All fields but Device must be
// set, or the attempt is refused.
type Attempt struct {
	Practice policy.PracticeID
	// Account is what names the account, the same for the same person however
	// they typed it: the canonical e-mail address. For an address that cannot
	// be made canonical pass what was typed. It is hashed, so any length is
	// fine, and whether such an account exists plays no part.
	Account string
	// Addr is the gateway's one client address (THREATS X2).
	Addr netip.Addr
	// Device is true only when the browser proved that this account has
	// signed in from it before. It then draws on the budgets for known devices.
	Device bool
	Kind   Kind
}

// complete reports whether a names everything that the keys need. A missing
// part would silently drop a budget.
func (a Attempt) complete() bool {
	return a.Practice != "" && a.Account != "" && a.Addr.IsValid() && a.Kind > 0 && a.Kind < kinds
}

// Verdict is the answer to an attempt. The zero Verdict refuses.
type Verdict struct {
	allowed bool
	retry   time.Duration
	reason  string
}

// Allowed reports whether the attempt may go on.
func (v Verdict) Allowed() bool { return v.allowed }

// RetryAfter is how long to wait before the next attempt, in whole seconds and
// at least one for a refusal, for the Retry-After header (RFC 9110 section
// 10.2.3). It is zero when the attempt was allowed.
func (v Verdict) RetryAfter() time.Duration {
	if v.allowed {
		return 0
	}
	return max(v.retry, time.Second)
}

// Reason names the budget that refused: "account", "address", "practice",
// "gateway", "incomplete" or "unavailable". It is for the audit log and never
// for the client.
func (v Verdict) Reason() string {
	if v.reason == "" && !v.allowed {
		return "incomplete"
	}
	return v.reason
}

// Limiter holds the budgets. It is safe for concurrent use. The zero Limiter
// and a nil one refuse everything.
type Limiter struct {
	now      func() time.Time
	tiers    [2]tiers // this node's own counts: strangers', known devices'
	accounts *accounts
	backoff  [kinds]Backoff
	shared   *shared // nil: this node is by itself
}

// New returns a Limiter with the budgets of o; what o leaves out has the
// default of the table above. It does no I/O.
func New(o Options) *Limiter {
	o = o.withDefaults()
	store := newMemoryStore(o.Now, o.Capacity)
	l := &Limiter{
		now:      o.Now,
		tiers:    [2]tiers{o.Strangers.tiers(store), o.Known.tiers(store)},
		accounts: newAccounts(o.Now, o.Capacity),
		backoff:  [kinds]Backoff{KindPassword: o.Password, KindTOTP: o.TOTP},
	}
	if o.Redis != nil {
		l.shared = newShared(o)
	}
	return l
}

// Run tries Redis once a second until ctx ends, and returns its error. It
// makes the alarm and Stats tell the truth when nobody signs in; decisions do
// not wait for it. Without Redis it does nothing.
func (l *Limiter) Run(ctx context.Context) error {
	if l.shared == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	every := time.NewTicker(probeEvery)
	defer every.Stop()
	for {
		l.shared.probe(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-every.C:
		}
	}
}

// Stats are for metrics.
type Stats struct {
	Failing bool  // Redis is configured and does not count
	Alone   int64 // attempts that this node decided because Redis did not
}

// Stats reports how the sharing of budgets goes.
func (l *Limiter) Stats() Stats {
	if l.shared == nil {
		return Stats{}
	}
	return Stats{Failing: l.shared.failing.Load(), Alone: l.shared.alone.Load()}
}

// Take counts a and decides on it. Call it before any work is done for the
// attempt, then Succeeded if the password or code was right, Return if it
// could not be checked, and nothing if it was wrong.
//
// The shared budgets of this node count and refuse at all times, those in
// Redis on top of them. On the account Redis decides, or this node when Redis
// does not answer.
func (l *Limiter) Take(ctx context.Context, a Attempt) Verdict {
	if l == nil || l.now == nil || !a.complete() {
		return Verdict{}
	}
	own := l.tiers[column(a)]
	if v, err := own.take(ctx, a, l.now); err != nil || !v.allowed {
		return v
	}
	v := l.decide(ctx, a)
	if !v.allowed {
		own.giveBack(ctx, a)
	}
	return v
}

// decide asks Redis, or this node's memory of the account.
func (l *Limiter) decide(ctx context.Context, a Attempt) Verdict {
	key, b := accountKey(a), l.backoff[a.Kind]
	if l.shared != nil {
		after, v, err := l.shared.take(ctx, a, b, l.accounts.get(key), l.accounts.clock.NowNano)
		if err == nil {
			l.accounts.learn(key, after)
			return v
		}
	}
	return l.accounts.take(key, b)
}

// Succeeded gives back what a took and forgets the failures of its account,
// those of the same kind and from the same sort of device.
func (l *Limiter) Succeeded(ctx context.Context, a Attempt) {
	l.settle(ctx, opSucceeded, a, Backoff.succeeded)
}

// Return gives back what a took, because the password or code was not
// checked (too busy, database unavailable): a failure of ours must not use up
// somebody's attempts. It gives back one attempt, so it never buys a guess.
func (l *Limiter) Return(ctx context.Context, a Attempt) {
	l.settle(ctx, opGiveBack, a, Backoff.giveBack)
}

// settle ends an attempt that was taken: in Redis, and here by step.
func (l *Limiter) settle(ctx context.Context, op string, a Attempt, step func(Backoff, account, int64) account) {
	if l == nil || l.now == nil || !a.complete() {
		return
	}
	l.tiers[column(a)].giveBack(ctx, a)
	key, b := accountKey(a), l.backoff[a.Kind]
	known := l.accounts.get(key)
	l.accounts.change(key, b, func(s account, now int64) account { return step(b, s, now) })
	if l.shared == nil {
		return
	}
	if after, err := l.shared.settle(ctx, op, a, b, known, l.accounts.clock.NowNano); err == nil {
		l.accounts.learn(key, after)
	}
}

// column chooses the budgets that a draws on.
func column(a Attempt) int {
	if a.Device {
		return 1
	}
	return 0
}
