package limit

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"
)

// tier is one budget that many accounts share.
type tier struct {
	name    string // the Reason of a refusal
	limiter *limiter.Limiter
	key     func(Attempt) string
}

// tiers are the shared budgets in the order they are taken: the narrowest
// first, so that one noisy address is stopped before it touches the rest.
type tiers []tier

func (b Budgets) tiers(store limiter.Store) tiers {
	return tiers{
		{"address", b.Address.limiter(store), addressKey("address")},
		{"address", b.AddressDay.limiter(store), addressKey("address-day")},
		{"practice", b.Practice.limiter(store), practiceKey},
		{"gateway", b.Gateway.limiter(store), gatewayKey},
	}
}

func (b Budget) limiter(store limiter.Store) *limiter.Limiter {
	return limiter.New(store, limiter.Rate{Period: b.Period, Limit: b.Limit})
}

// take counts one in every tier. When one refuses or fails, all of them are
// given back what was counted. An error is a case of its own: a zero
// limiter.Context would otherwise read as allowed.
func (ts tiers) take(ctx context.Context, a Attempt, now func() time.Time) (Verdict, error) {
	for i, t := range ts {
		c, err := t.limiter.Increment(ctx, t.key(a), 1)
		if err != nil {
			ts[:i].giveBack(ctx, a)
			return Verdict{reason: "unavailable"}, err
		}
		if c.Reached {
			ts[:i+1].giveBack(ctx, a)
			return Verdict{retry: until(c.Reset, now()), reason: t.name}, nil
		}
	}
	return Verdict{allowed: true}, nil
}

// giveBack undoes take. After an error the budget is one tighter than it
// should be until its window ends, and the rest is not tried: whatever failed
// would fail again.
func (ts tiers) giveBack(ctx context.Context, a Attempt) {
	for _, t := range ts {
		if _, err := t.limiter.Increment(ctx, t.key(a), -1); err != nil {
			return
		}
	}
}

// until is the time from now to the unix second reset, rounded up to seconds.
func until(reset int64, now time.Time) time.Duration {
	return ceil(time.Unix(reset, 0).Sub(now))
}

// ceil rounds up to whole seconds, so that nobody is told to come back too early.
func ceil(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
