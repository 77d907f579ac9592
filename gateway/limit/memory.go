package limit

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/ulule/limiter/v3"
)

// memoryStore is a limiter.Store in this node's memory with a fixed number of
// keys (ulule's own has no cap, and reads the wall clock). When it is full,
// the cache drops the keys that are used least; an account or address under
// attack is used most. It starts no goroutine, so there is nothing to stop.
type memoryStore struct {
	clock clock
	cache *otter.Cache[string, window]
}

// window is one counter: attempts since it began, and when it ends.
type window struct {
	count int64
	ends  int64 // nanoseconds on the store's clock
}

func newMemoryStore(now func() time.Time, capacity int) *memoryStore {
	c := newClock(now)
	return &memoryStore{clock: c, cache: otter.Must(&otter.Options[string, window]{
		MaximumSize: capacity,
		Clock:       c,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, window]) time.Duration {
			return time.Duration(e.Value.ends - c.NowNano())
		}),
	})}
}

// Get counts one.
func (s *memoryStore) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.Increment(ctx, key, 1, rate)
}

// Peek reads without counting.
func (s *memoryStore) Peek(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	w, ok := s.cache.GetIfPresent(key)
	if !ok {
		w = s.fresh(rate)
	}
	return s.answer(w, rate), nil
}

// Reset forgets the key.
func (s *memoryStore) Reset(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	s.cache.Invalidate(key)
	return s.answer(s.fresh(rate), rate), nil
}

// Increment adds n, which may be negative, in one atomic step. A count never
// falls below zero, and giving back to a window that has ended does nothing:
// otherwise successes could be saved up to pay for guesses.
func (s *memoryStore) Increment(_ context.Context, key string, n int64, rate limiter.Rate) (limiter.Context, error) {
	w, ok := s.cache.Compute(key, func(old window, found bool) (window, otter.ComputeOp) {
		if !found && n <= 0 {
			return old, otter.CancelOp
		}
		if !found {
			old = s.fresh(rate)
		}
		old.count = max(old.count+n, 0)
		return old, otter.WriteOp
	})
	if !ok {
		w = s.fresh(rate)
	}
	return s.answer(w, rate), nil
}

// fresh is a window that begins now. One that has ended is never seen again:
// the cache expires it by the same clock.
func (s *memoryStore) fresh(rate limiter.Rate) window {
	return window{ends: s.clock.NowNano() + int64(rate.Period)}
}

// answer states w as a limiter.Context. Reset is rounded up to whole seconds,
// so that nobody is told to come back too early.
func (s *memoryStore) answer(w window, rate limiter.Rate) limiter.Context {
	ends := s.clock.now().Add(time.Duration(w.ends - s.clock.NowNano()))
	return limiter.Context{
		Limit:     rate.Limit,
		Remaining: max(rate.Limit-w.count, 0),
		Reset:     ends.Add(time.Second - 1).Unix(),
		Reached:   w.count > rate.Limit,
	}
}

// clock counts nanoseconds since the store was made. With time.Now behind it
// that is the monotonic clock, so setting the computer's time neither ends nor
// lengthens a window.
type clock struct {
	now   func() time.Time
	start time.Time
}

func newClock(now func() time.Time) clock { return clock{now: now, start: now()} }

// NowNano is the time since start.
func (c clock) NowNano() int64 { return int64(c.now().Sub(c.start)) }

// Tick returns no ticks: the cache then cleans up as it is written to.
func (c clock) Tick(time.Duration) <-chan time.Time { return nil }

var (
	_ limiter.Store = (*memoryStore)(nil)
	_ otter.Clock   = clock{}
)
