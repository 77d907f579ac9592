package hashing_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/hashing"
)

// THREATS L5: never more hashes at once than allowed, and what does not fit in the queue
// is turned away at once.
func TestHashesAreBounded(t *testing.T) {
	const atOnce, queue, callers = 3, 10, 500
	p := hashing.NewLocal(atOnce, queue)
	var running, most, done, busy atomic.Int64
	hold := make(chan struct{})
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			err := p.Do(t.Context(), func(*hashing.Turn) error {
				most.Store(max(most.Load(), running.Add(1)))
				<-hold
				running.Add(-1)
				return nil
			})
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, hashing.ErrBusy):
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return busy.Load() == callers-atOnce-queue })
	close(hold)
	all.Wait()
	if most.Load() > atOnce || done.Load() != atOnce+queue {
		t.Errorf("%d ran at once and %d in all; want at most %d and %d", most.Load(), done.Load(), atOnce, atOnce+queue)
	}
	if p.Waiting() != 0 {
		t.Errorf("%d still wait", p.Waiting())
	}
}

// THREATS L5: whoever is signed in keeps a processor while others sign in, and a large
// machine does not start a process for each of its own.
func TestOneProcessorIsLeftForWhoIsSignedIn(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for processors, want := range map[int]int{1: 1, 2: 1, 3: 2, 8: 7, 9: 8, 64: 8} {
		runtime.GOMAXPROCS(processors)
		if got := hashing.DefaultHashes(); got != want {
			t.Errorf("%d hashes at once on %d processors, want %d", got, processors, want)
		}
	}
}

func TestCallerWhoGivesUpLeavesTheQueue(t *testing.T) {
	p := hashing.NewLocal(1, 1)
	hold, running := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() {
		_ = p.Do(context.Background(), func(*hashing.Turn) error { close(running); <-hold; return nil })
	})
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Do(ctx, func(*hashing.Turn) error { t.Error("hashed for a caller who is gone"); return nil })
	if !errors.Is(err, hashing.ErrBusy) || p.Waiting() != 0 {
		t.Errorf("got %v, want %v; %d still wait", err, hashing.ErrBusy, p.Waiting())
	}
	close(hold)
	held.Wait()
}

// Where no worker can live the gateway does not start one after the other: whoever comes
// is told at once, and the place is tried again after a rest that grows.
func TestBrokenEnvironmentStartsNoWorkersInALoop(t *testing.T) {
	starts, works := 0, false
	p := hashing.NewFake(never, func() (hashing.Fake, error) {
		if starts++; works {
			return hashing.Honest, nil
		}
		return nil, errors.New("no more processes")
	})
	defer p.Close()
	p.Warm() // is no reason not to begin
	if _, err := hash(t.Context(), p, job(1)); !errors.Is(err, hashing.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, hashing.ErrUnavailable)
	}
	if starts != 3 || p.Failures() != 3 || p.Resting() != 1 {
		t.Errorf("%d starts, %d failures, %d rest; want 3, 3, 1", starts, p.Failures(), p.Resting())
	}
	if _, err := hash(t.Context(), p, job(1)); !errors.Is(err, hashing.ErrUnavailable) {
		t.Errorf("during the rest: got %v, want %v", err, hashing.ErrUnavailable)
	}
	works = true
	waitFor(t, func() bool { return p.Resting() == 0 })
	if starts != 3 {
		t.Errorf("%d starts during the rest", starts-3)
	}
	right(t, p, job(1))
	right(t, p, job(2))
	if starts != 4 {
		t.Errorf("%d starts, want one more for all hashes", starts-3)
	}

	var before time.Duration
	for failures := range 100 {
		rest := hashing.Rest(failures)
		if rest < before || rest > hashing.MostRest || failures > 0 && rest == 0 {
			t.Errorf("after %d failures the rest is %v, before it was %v", failures, rest, before)
		}
		before = rest
	}
	if before != hashing.MostRest {
		t.Errorf("the rest grows to %v, want %v", before, hashing.MostRest)
	}
}

// A hash for somebody who has gone is not tried again.
func TestCallerWhoIsGoneIsNotRetried(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	starts := 0
	p := hashing.NewFake(never, func() (hashing.Fake, error) { starts++; cancel(); return nil, errors.New("no more processes") })
	defer p.Close()
	if _, err := hash(ctx, p, job(1)); !errors.Is(err, hashing.ErrUnavailable) || starts != 1 {
		t.Errorf("%d starts, %v; want one and %v", starts, err, hashing.ErrUnavailable)
	}
}
