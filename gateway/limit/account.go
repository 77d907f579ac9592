package limit

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// account is what is known of one account's failures. Redis keeps it for all
// nodes, and every node what it has last seen of it and counted since, so that
// a node that must go on alone goes on from there, and a Redis that comes back
// with less is told.
//
// Two states of one account are put together like this: the one with more
// successes behind it counts, because a success forgets the failures before
// it. With equally many the larger number of each counts. So what one side
// does not know is never taken for "nothing happened".
type account struct {
	successes int64
	tries     int64 // free attempts used
	steps     int64 // attempts let through since, each after a wait
	opens     int64 // when the next one may pass, nanoseconds on the clock
	ends      int64 // when all this is forgotten
}

func (s account) join(o account) account {
	if s.successes != o.successes {
		if s.successes < o.successes {
			return o
		}
		return s
	}
	s.tries, s.steps, s.opens = max(s.tries, o.tries), max(s.steps, o.steps), max(s.opens, o.opens)
	s.ends = max(s.ends, o.ends)
	return s
}

// take decides and counts one attempt at the time now: the first Free-1 pass
// at once, then each pass closes the gate for the wait of the present step. A
// refused attempt changes nothing, so hammering does not make the owner's wait
// longer. The same is written in Lua for Redis (script.go).
func (b Backoff) take(s account, now int64) (_ account, v Verdict) {
	switch {
	case s.tries < b.Free-1:
		s.tries++
	case s.opens > now:
		return s, Verdict{retry: ceil(time.Duration(s.opens - now)), reason: "account"}
	default:
		s.opens = now + int64(b.wait(s.steps))
		s.steps++
	}
	return s, Verdict{allowed: true}
}

// wait is First, 2·First, 4·First … up to Max.
func (b Backoff) wait(step int64) time.Duration {
	w := b.First
	for ; step > 0 && w < b.Max; step-- {
		w *= 2
	}
	return min(w, b.Max)
}

// succeeded forgets the failures.
func (b Backoff) succeeded(s account, now int64) account {
	return account{successes: s.successes + 1, ends: now + int64(b.Forget)}
}

// giveBack undoes one take that was allowed: a pass of the gate when there was
// one, else one of the free attempts.
func (b Backoff) giveBack(s account, now int64) account {
	if s.steps > 0 {
		s.steps, s.opens = s.steps-1, now
	} else {
		s.tries = max(s.tries-1, 0)
	}
	return s
}

// accounts are those that this node knows of, in its memory. Their number is
// bounded as in memoryStore.
type accounts struct {
	clock clock
	cache *otter.Cache[string, account]
}

func newAccounts(now func() time.Time, capacity int) *accounts {
	c := newClock(now)
	return &accounts{clock: c, cache: otter.Must(&otter.Options[string, account]{
		MaximumSize: capacity,
		Clock:       c,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, account]) time.Duration {
			return time.Duration(e.Value.ends - c.NowNano())
		}),
	})}
}

// get is what is known; the zero account when nothing is.
func (s *accounts) get(key string) account {
	known, _ := s.cache.GetIfPresent(key)
	return known
}

// change makes one atomic step. An account not seen before begins its window.
func (s *accounts) change(key string, b Backoff, step func(s account, now int64) account) {
	s.cache.Compute(key, func(old account, found bool) (account, otter.ComputeOp) {
		now := s.clock.NowNano()
		if !found {
			old = account{ends: now + int64(b.Forget)}
		}
		return step(old, now), otter.WriteOp
	})
}

// learn joins what Redis has with what is known.
func (s *accounts) learn(key string, from account) {
	if from == (account{}) {
		return
	}
	s.cache.Compute(key, func(old account, found bool) (account, otter.ComputeOp) {
		if found {
			from = old.join(from)
		}
		return from, otter.WriteOp
	})
}

// take decides by what this node knows.
func (s *accounts) take(key string, b Backoff) (v Verdict) {
	s.change(key, b, func(old account, now int64) (next account) {
		next, v = b.take(old, now)
		return next
	})
	return v
}
