package limit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	driver "github.com/ulule/limiter/v3/drivers/store/redis"
)

const (
	prefix = "clinicgate:limit" // of every key in Redis

	// decideTimeout bounds what Redis may cost one attempt, all its commands together.
	decideTimeout = 500 * time.Millisecond
	// probeEvery is how often Run tries Redis. With it an outage is known before
	// somebody signs in, and its end without.
	probeEvery = time.Second
)

// shared are the budgets that all nodes count in Redis.
type shared struct {
	client *goredis.Client
	store  limiter.Store
	tiers  [2]tiers // strangers', known devices'
	alarm  func(error)

	failing atomic.Bool
	alone   atomic.Int64 // attempts that were decided without Redis
}

// newShared does no I/O.
func newShared(o Options) *shared {
	counters, err := driver.NewStoreWithOptions(newScripts(o.Redis), limiter.StoreOptions{Prefix: prefix})
	s := &shared{client: o.Redis, store: redisStore{counters, o.Redis, err}, alarm: o.Alarm}
	s.tiers = [2]tiers{o.Strangers.tiers(s.store), o.Known.tiers(s.store)}
	if s.alarm == nil {
		s.alarm = func(error) {}
	}
	return s
}

// bounded is a context for one attempt's work in Redis. It outlives the
// request: whoever hangs up must not thereby choose who counts.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), decideTimeout)
}

// take decides by the budgets of all nodes. known is what this node knows of
// the account, and the account as Redis has it is returned. An error means
// that Redis did not decide.
func (s *shared) take(ctx context.Context, a Attempt, b Backoff, known account, now func() int64) (_ account, v Verdict, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	defer func() { s.note(err) }()
	ts := s.tiers[column(a)]
	if v, err = ts.take(ctx, a, time.Now); err != nil || !v.allowed {
		return known, v, err
	}
	after, wait, err := runAccount(ctx, s.client, opTake, accountKey(a), b, known, now)
	if err != nil {
		ts.giveBack(ctx, a)
		return known, Verdict{}, err
	}
	if wait > 0 {
		ts.giveBack(ctx, a)
		return after, Verdict{retry: ceil(wait), reason: "account"}, nil
	}
	return after, Verdict{allowed: true}, nil
}

// settle tells Redis how an attempt ended. If it cannot be told, its budgets
// are one tighter than they should be.
func (s *shared) settle(ctx context.Context, op string, a Attempt, b Backoff, known account, now func() int64) (account, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	after, _, err := runAccount(ctx, s.client, op, accountKey(a), b, known, now)
	if err == nil {
		s.tiers[column(a)].giveBack(ctx, a)
	} else {
		s.fail(err)
	}
	return after, err
}

// note counts a decision that Redis did not make.
func (s *shared) note(err error) {
	if err != nil {
		s.alone.Add(1)
		s.fail(err)
	}
}

// fail raises the alarm, once until probe has ended it.
func (s *shared) fail(err error) {
	if s.failing.CompareAndSwap(false, true) {
		s.alarm(fmt.Errorf("counting in redis: %w", err))
	}
}

// probe writes, because a Redis that is full or read-only still reads.
func (s *shared) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	_, err := s.store.Increment(ctx, "probe", 1, limiter.Rate{Period: time.Minute, Limit: 1})
	switch {
	case err != nil && ctx.Err() != context.Canceled:
		s.fail(err)
	case err == nil && s.failing.CompareAndSwap(true, false):
		s.alarm(nil)
	}
}

// redisStore is the library's store with two of its holes closed: it gives
// credit for what is given back to a window that has ended, and a key without
// an end never ends.
type redisStore struct {
	limiter.Store
	client *goredis.Client
	err    error // of making Store: none, because that asks nothing of Redis
}

// Increment adds n, which may be negative. Reset is rounded up to whole seconds.
func (s redisStore) Increment(ctx context.Context, key string, n int64, rate limiter.Rate) (limiter.Context, error) {
	if s.err != nil {
		return limiter.Context{}, s.err
	}
	if n > 0 {
		c, err := s.Store.Increment(ctx, key, n, rate)
		c.Reset++
		return c, err
	}
	err := giveBackScript.Run(ctx, s.client, []string{prefix + ":" + key}, -n, rate.Period.Milliseconds()).Err()
	return limiter.Context{}, err
}

var _ limiter.Store = redisStore{}
