package account

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
)

// ErrBusy means that more passwords wait to be hashed than the queue holds, or
// that the caller gave up waiting. Nothing was decided: answer 503 with
// Retry-After, and do not count the attempt.
var ErrBusy = errors.New("too many sign-ins at once")

// hasher bounds how many hashes run at once, and how many wait. Memory is
// then at most running × memory of one hash, however many sign in (THREATS L5).
type hasher struct {
	running chan struct{}
	waiting atomic.Int64
	queue   int64
}

// defaultHashes is how many hashes run at once when Options.MaxHashes does not say:
// one fewer than there are processors, and at least one. The one that is left serves
// who is signed in: a hash holds its processor for about 30 ms, and with all of them
// hashing each signed-in request of a busy morning would wait for that (THREATS L5).
func defaultHashes() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// newHasher runs at most n hashes at once (default: defaultHashes) and lets at most
// queue more wait (default: 64 for each that runs, which is about two seconds of work).
func newHasher(n, queue int) *hasher {
	if n <= 0 {
		n = defaultHashes()
	}
	if queue <= 0 {
		queue = 64 * n
	}
	return &hasher{running: make(chan struct{}, n), queue: int64(queue)}
}

// do runs hash when it is its turn, or returns ErrBusy without running it.
func (h *hasher) do(ctx context.Context, hash func()) error {
	select {
	case h.running <- struct{}{}:
	default:
		if err := h.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-h.running }()
	hash()
	return nil
}

func (h *hasher) wait(ctx context.Context) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.queue {
		return ErrBusy
	}
	select {
	case h.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %v", ErrBusy, context.Cause(ctx))
	}
}
