package limit

import (
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Budget is a number of attempts in a window of time. The zero Budget stands
// for the default; there is no way to say "unlimited".
type Budget struct {
	Limit  int64         // attempts; at least 1
	Period time.Duration // from 1 s to 7 days
}

// Budgets are those that many accounts share.
type Budgets struct {
	Address    Budget
	AddressDay Budget // the same key, a longer window
	Practice   Budget
	Gateway    Budget
}

// Backoff is the budget of one account: Free failures, then one attempt each
// First, 2·First, 4·First … up to Max.
type Backoff struct {
	Free   int64         // failures without a wait; at least 1
	First  time.Duration // the first wait; at least 1 s
	Max    time.Duration // the longest wait; at most 24 h, so that no account is locked for good
	Forget time.Duration // failures are forgotten after this; at most 7 days
}

// Options are the settings of a Limiter. Every zero field has the default that
// the package comment's table gives.
type Options struct {
	Now       func() time.Time // default time.Now
	Strangers Budgets          // for browsers not seen before
	Known     Budgets          // for Attempt.Device
	Password  Backoff
	TOTP      Backoff
	// Redis counts for all nodes together. Default: none, only this node counts.
	// When it does not answer, this node goes on alone with the same budgets: no
	// limit is lifted (THREATS L3). The caller closes it after Run has ended.
	Redis *goredis.Client
	// Alarm, when set, hears once that Redis has begun to fail, and with nil that
	// it answers again. It must not block.
	Alarm func(error)
	// Capacity bounds this node's memory of attempts, in accounts and as many
	// shared budgets of about 200 bytes each. Default 200,000.
	Capacity int
}

const (
	longestWindow = 7 * 24 * time.Hour
	longestWait   = 24 * time.Hour
	capacity      = 200_000
)

var (
	defaultStrangers = Budgets{
		Address:    Budget{100, 10 * time.Minute},
		AddressDay: Budget{400, 24 * time.Hour},
		Practice:   Budget{600, 10 * time.Minute},
		Gateway:    Budget{10_000, 10 * time.Minute},
	}
	defaultKnown = Budgets{
		Address:    Budget{300, 10 * time.Minute},
		AddressDay: Budget{2_000, 24 * time.Hour},
		Practice:   Budget{3_000, 10 * time.Minute},
		Gateway:    Budget{50_000, 10 * time.Minute},
	}
	defaultPassword = Backoff{Free: 5, First: 2 * time.Second, Max: 15 * time.Minute, Forget: 24 * time.Hour}
	defaultTOTP     = Backoff{Free: 5, First: 30 * time.Second, Max: 15 * time.Minute, Forget: 24 * time.Hour}
)

// Validate reports every setting that New would not use as it stands.
func (o Options) Validate() error {
	return errors.Join(
		o.Strangers.validate("strangers"), o.Known.validate("known"),
		o.Password.validate("password"), o.TOTP.validate("totp"),
		require(o.Capacity >= 0, "capacity", "must not be negative; leave it out for %d", capacity),
	)
}

func (b Budgets) validate(field string) error {
	return errors.Join(
		b.Address.validate(field+".address"), b.AddressDay.validate(field+".address_day"),
		b.Practice.validate(field+".practice"), b.Gateway.validate(field+".gateway"),
	)
}

func (b Budget) validate(field string) error {
	if b == (Budget{}) {
		return nil
	}
	return errors.Join(
		require(b.Limit >= 1, field+".limit", "must be at least 1"),
		require(b.Period >= time.Second && b.Period <= longestWindow, field+".period", "must be from 1s to %s", longestWindow),
	)
}

func (b Backoff) validate(field string) error {
	if b == (Backoff{}) {
		return nil
	}
	return errors.Join(
		require(b.Free >= 1, field+".free", "must be at least 1"),
		require(b.First >= time.Second && b.First <= b.Max, field+".first", "must be from 1s to max"),
		require(b.Max <= longestWait, field+".max", "must be at most %s, so that nobody is locked out for good", longestWait),
		require(b.Forget >= b.Max && b.Forget <= longestWindow, field+".forget", "must be from max to %s", longestWindow),
	)
}

func require(ok bool, field, remedy string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s: %s", field, fmt.Sprintf(remedy, args...))
}

// withDefaults fills every zero field, and every field that Validate would
// refuse: a mistake in the settings never lifts a limit.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Capacity <= 0 {
		o.Capacity = capacity
	}
	o.Strangers = o.Strangers.or(defaultStrangers)
	o.Known = o.Known.or(defaultKnown)
	o.Password = o.Password.or(defaultPassword)
	o.TOTP = o.TOTP.or(defaultTOTP)
	return o
}

func (b Budgets) or(d Budgets) Budgets {
	return Budgets{
		Address: b.Address.or(d.Address), AddressDay: b.AddressDay.or(d.AddressDay),
		Practice: b.Practice.or(d.Practice), Gateway: b.Gateway.or(d.Gateway),
	}
}

func (b Budget) or(d Budget) Budget {
	if b == (Budget{}) || b.validate("") != nil {
		return d
	}
	return b
}

func (b Backoff) or(d Backoff) Backoff {
	if b == (Backoff{}) || b.validate("") != nil {
		return d
	}
	return b
}
