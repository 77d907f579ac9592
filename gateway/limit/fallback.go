package limit

import (
	"context"

	"github.com/ulule/limiter/v3"
)

// fallbackStore counts in first, and in second whenever first fails. Budgets
// stay bounded while first is away (THREATS L3); the two counts are not added
// up, so a change-over can let through at most one more budget.
type fallbackStore struct {
	first, second limiter.Store
	alarm         func(error)
}

// try asks first, then second.
func (s *fallbackStore) try(ask func(limiter.Store) (limiter.Context, error)) (limiter.Context, error) {
	c, err := ask(s.first)
	if err == nil {
		return c, nil
	}
	if s.alarm != nil {
		s.alarm(err)
	}
	return ask(s.second)
}

// Get counts one.
func (s *fallbackStore) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.try(func(t limiter.Store) (limiter.Context, error) { return t.Get(ctx, key, rate) })
}

// Peek reads without counting.
func (s *fallbackStore) Peek(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.try(func(t limiter.Store) (limiter.Context, error) { return t.Peek(ctx, key, rate) })
}

// Increment adds n.
func (s *fallbackStore) Increment(ctx context.Context, key string, n int64, rate limiter.Rate) (limiter.Context, error) {
	return s.try(func(t limiter.Store) (limiter.Context, error) { return t.Increment(ctx, key, n, rate) })
}

// Reset forgets the key in both: what was forgotten must not come back when
// the other takes over.
func (s *fallbackStore) Reset(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	c, err := s.second.Reset(ctx, key, rate)
	if c1, err1 := s.first.Reset(ctx, key, rate); err1 == nil {
		return c1, nil
	} else if s.alarm != nil {
		s.alarm(err1)
	}
	return c, err
}

var _ limiter.Store = (*fallbackStore)(nil)
