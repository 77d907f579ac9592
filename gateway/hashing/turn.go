package hashing

import (
	"context"
	"fmt"
	"time"
)

// Turn is the right to compute hashes, one after the other. It ends with the call of Do
// that gave it.
type Turn struct {
	pool  *Pool
	place *place
	ctx   context.Context
}

// place is where hashes are computed. Whoever has taken it from the pool owns it.
type place struct {
	now      runner // nil: not started yet, or failed
	failures int    // hashes in a row for which no runner was found
}

// runner computes one job at a time. After an error it is not used again.
type runner interface {
	run(*Job) (Tag, error)
	end()
}

// local is a runner in this process.
type local struct{}

func (local) run(job *Job) (Tag, error) { return job.compute(), nil }
func (local) end()                      {}

// attempts is how often a hash is tried: a worker may have died since it was last used.
const attempts = 2

// Hash computes a hash. With ErrUnavailable no worker did, not even a fresh one.
func (t *Turn) Hash(job Job) (Tag, error) {
	if !job.Params.Valid() {
		return Tag{}, fmt.Errorf("hashes of the cost %+v are not computed", job.Params)
	}
	var err error
	for range attempts {
		var tag Tag
		if tag, err = t.place.run(&job, t.pool.start); err == nil {
			t.place.failures = 0
			return tag, nil
		}
		t.pool.failed(err)
		if t.ctx.Err() != nil {
			break // nobody waits for it any more
		}
	}
	t.place.failures++
	return Tag{}, fmt.Errorf("%w: %v", ErrUnavailable, err)
}

func (s *place) run(job *Job, start func() (runner, error)) (Tag, error) {
	if err := s.prepare(start); err != nil {
		return Tag{}, err
	}
	tag, err := s.now.run(job)
	if err != nil {
		s.drop()
		return Tag{}, err
	}
	return tag, nil
}

// prepare starts a runner where there is none.
func (s *place) prepare(start func() (runner, error)) error {
	if s.now != nil {
		return nil
	}
	now, err := start()
	if err == nil {
		s.now = now
	}
	return err
}

func (s *place) drop() {
	if s.now != nil {
		s.now.end()
		s.now = nil
	}
}

const (
	firstRest = 100 * time.Millisecond
	mostRest  = 5 * time.Second
)

// rest is how long a place stays empty after it failed, so that where no worker can live
// the gateway does not start one after the other.
func (s *place) rest() time.Duration {
	if s.failures == 0 {
		return 0
	}
	return min(firstRest<<min(s.failures-1, 8), mostRest)
}

// giveBack makes a place free, after its rest.
func (p *Pool) giveBack(s *place) {
	rest := s.rest()
	if rest == 0 {
		p.free <- s
		return
	}
	p.resting.Add(1)
	go func() {
		over := time.NewTimer(rest)
		defer over.Stop()
		select {
		case <-over.C:
		case <-p.closed:
		}
		p.resting.Add(-1)
		p.free <- s
	}()
}

// Interface guards.
var (
	_ runner = local{}
	_ runner = (*worker)(nil)
)
