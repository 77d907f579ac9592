package hashing

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs at most so many hashes at once, and lets at most so many wait. Memory is then
// at most hashes at once × memory of one hash, however many sign in (THREATS L5).
type Pool struct {
	free    chan *place // those that nobody uses
	waiting atomic.Int64
	queue   int64
	resting atomic.Int64 // places that nobody may use for a moment
	closed  chan struct{}
	close   sync.Once

	start    func() (runner, error)
	failures atomic.Int64
	log      func() *slog.Logger
	told     sync.Once // that workers have the gateway's priority
}

// mostHashes bounds hashes at once on large machines: eight are more than two hundred
// sign-ins a second, and each is a process with the memory of a hash.
const mostHashes = 8

// defaultHashes is how many hashes run at once: one fewer than there are processors, at
// least one. Workers give way to the gateway, but where each processor has one, each
// signed-in request must interrupt it first and finds the caches full of its memory
// (THREATS L5).
func defaultHashes() int { return min(max(1, runtime.GOMAXPROCS(0)-1), mostHashes) }

// NewLocal returns a Pool that hashes in this process, for commands and tests: at most n
// at once (0: defaultHashes), at most queue more waiting (0: 64 for each that runs, about
// two seconds of work). It needs no Close.
func NewLocal(n, queue int) *Pool {
	return newPool(n, queue, func() (runner, error) { return local{}, nil })
}

// New returns a Pool of worker processes, for the program that serves. Alarms go to log. A
// program that has not called Main gets one that hashes in this process.
func New(log func() *slog.Logger) *Pool {
	p := NewLocal(0, 0)
	p.log = log
	if canWork.Load() {
		p.start = p.startWorker
	}
	return p
}

func newPool(n, queue int, start func() (runner, error)) *Pool {
	if n <= 0 {
		n = defaultHashes()
	}
	if queue <= 0 {
		queue = 64 * n
	}
	p := &Pool{free: make(chan *place, n), queue: int64(queue), closed: make(chan struct{}), start: start,
		log: func() *slog.Logger { return slog.New(slog.DiscardHandler) }}
	for range n {
		p.free <- new(place)
	}
	return p
}

// Warm starts the workers, so that the first sign-ins need not wait for them. One that does
// not start is tried again when it is needed.
func (p *Pool) Warm() {
	for range cap(p.free) {
		s := <-p.free
		if err := s.prepare(p.start); err != nil {
			p.failed(err)
		}
		p.free <- s
	}
}

func (p *Pool) startWorker() (runner, error) {
	w, lowered, err := startWorker()
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if lowered != nil {
		p.told.Do(func() {
			p.log().Warn("password workers have the gateway's own priority: signed-in people may feel sign-ins", "cause", lowered)
		})
	}
	return w, nil
}

// Do calls f when it is the caller's turn and returns what f returns, or returns ErrBusy
// or ErrUnavailable without calling it.
func (p *Pool) Do(ctx context.Context, f func(*Turn) error) error {
	s, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.giveBack(s)
	return f(&Turn{pool: p, place: s, ctx: ctx})
}

func (p *Pool) take(ctx context.Context) (*place, error) {
	select {
	case <-p.closed:
		return nil, errClosed
	default:
	}
	select {
	case s := <-p.free:
		return s, nil
	default:
	}
	if p.resting.Load() == int64(cap(p.free)) {
		return nil, fmt.Errorf("%w: workers are tried again in a moment", ErrUnavailable)
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.queue {
		return nil, ErrBusy
	}
	select {
	case s := <-p.free:
		return s, nil
	case <-p.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %v", ErrBusy, context.Cause(ctx))
	}
}

var errClosed = fmt.Errorf("%w: the gateway ends", ErrUnavailable)

// Waiting is how many wait for their turn.
func (p *Pool) Waiting() int64 { return p.waiting.Load() }

// Failures is how many times a worker could not be started, died or hung.
func (p *Pool) Failures() int64 { return p.failures.Load() }

func (p *Pool) failed(err error) {
	p.failures.Add(1)
	p.log().Error("a password worker failed", "cause", err)
}

// Close waits for hashes that have begun, ends the workers, and refuses whoever comes
// later.
func (p *Pool) Close() {
	p.close.Do(func() {
		close(p.closed)
		for range cap(p.free) {
			(<-p.free).drop()
		}
	})
}
