package limit

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"
)

// tier is one shared budget.
type tier struct {
	name    string // the Reason of a refusal
	limiter *limiter.Limiter
	key     func(Attempt) string
}

// tiers are the shared budgets in the order they are taken: the narrowest
// first, so that one noisy address is stopped before it touches the rest.
func (b Budgets) tiers(store limiter.Store) []tier {
	return []tier{
		{"address", b.Address.limiter(store), addressKey("address")},
		{"address", b.AddressDay.limiter(store), addressKey("address-day")},
		{"practice", b.Practice.limiter(store), practiceKey},
		{"gateway", b.Gateway.limiter(store), gatewayKey},
	}
}

func (b Budget) limiter(store limiter.Store) *limiter.Limiter {
	return limiter.New(store, limiter.Rate{Period: b.Period, Limit: b.Limit})
}

// many is a limit that is never reached, for a counter that is only read.
const many = int64(1) << 40

// accountBackoff is the growing wait of one account. It is made of three
// counters, each one atomic step of a limiter.Store, so that it holds on any
// store and for parallel attempts:
//
//   - tries: attempts since the window began. The first Free-1 pass at once.
//   - gate: passes one attempt, then closes for the wait of the present step.
//   - steps: how often the gate was passed; chooses the wait.
//
// Refused attempts move neither gate nor steps, so hammering does not make
// the owner's wait longer.
type accountBackoff struct {
	tries, steps *limiter.Limiter
	gates        []*limiter.Limiter // by step, each with a longer window
}

func newAccountBackoff(store limiter.Store, b Backoff) accountBackoff {
	w := accountBackoff{
		tries: Budget{b.Free - 1, b.Forget}.limiter(store),
		steps: Budget{many, b.Forget}.limiter(store),
	}
	for wait := b.First; ; wait *= 2 {
		w.gates = append(w.gates, Budget{1, min(wait, b.Max)}.limiter(store))
		if wait >= b.Max {
			return w
		}
	}
}

// take counts one attempt on the account. Any error refuses.
func (w accountBackoff) take(ctx context.Context, now func() time.Time, a Attempt) Verdict {
	unavailable := Verdict{reason: "unavailable"}
	tries, err := w.tries.Increment(ctx, accountKey("tries", a), 1)
	if err != nil {
		return unavailable
	}
	if !tries.Reached {
		return Verdict{allowed: true}
	}
	steps, err := w.steps.Peek(ctx, accountKey("steps", a))
	if err != nil {
		return unavailable
	}
	step := min(steps.Limit-steps.Remaining, int64(len(w.gates)-1))
	gate, err := w.gates[max(step, 0)].Increment(ctx, accountKey("gate", a), 1)
	if err != nil {
		return unavailable
	}
	if gate.Reached {
		return Verdict{retry: until(gate.Reset, now()), reason: "account"}
	}
	if _, err := w.steps.Increment(ctx, accountKey("steps", a), 1); err != nil {
		return unavailable
	}
	return Verdict{allowed: true}
}

// forget clears the account's failures.
func (w accountBackoff) forget(ctx context.Context, a Attempt) {
	ctx = context.WithoutCancel(ctx)
	_, _ = w.tries.Reset(ctx, accountKey("tries", a))
	_, _ = w.gates[0].Reset(ctx, accountKey("gate", a))
	_, _ = w.steps.Reset(ctx, accountKey("steps", a))
}

// giveBack undoes one take that was allowed: a pass of the gate when there was
// one, else one of the free attempts.
func (w accountBackoff) giveBack(ctx context.Context, a Attempt) {
	ctx = context.WithoutCancel(ctx)
	steps, err := w.steps.Peek(ctx, accountKey("steps", a))
	if err == nil && steps.Remaining < steps.Limit {
		_, _ = w.steps.Increment(ctx, accountKey("steps", a), -1)
		_, _ = w.gates[0].Reset(ctx, accountKey("gate", a))
		return
	}
	_, _ = w.tries.Increment(ctx, accountKey("tries", a), -1)
}
