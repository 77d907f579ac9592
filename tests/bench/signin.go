package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"clinicgate/policy"
	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/seed"
	"clinicgate/tests/bench/stage"
)

const (
	crowd  = 500 // sign in at the same moment
	steady = 60  // sign in one after the other, a few at a time
	// crowdLimit is how long the crowd keeps trying when it is told that the gateway is busy.
	crowdLimit = 2 * time.Minute
)

// signinReport is sign-in, password and code, on its own and in a crowd.
type signinReport struct {
	PerSecond   float64 `json:"per_second"`          // a few at a time
	CrowdSize   int     `json:"crowd"`               // all at once
	CrowdTime   float64 `json:"crowd_seconds"`       // until everybody is in
	CrowdBusy   int     `json:"crowd_answered_busy"` // answers 503 or 429, each tried again
	CrowdFailed int     `json:"crowd_failed"`        // anything else; must be 0
	Before      memory  `json:"memory_before_bytes"`
	Peak        memory  `json:"memory_peak_bytes"` // while the crowd signs in
	Idle        latency `json:"idle"`
	Crowd       latency `json:"while_crowd"`
}

// memory is resident bytes: of the gateway, and of the processes that hash passwords for it, together. The pages of the
// program, which all of them share, are in both.
type memory struct {
	Gateway int64 `json:"gateway"`
	Workers int64 `json:"workers"`
}

func (m memory) String() string {
	return fmt.Sprintf("%s and %s", measure.Megabytes(m.Gateway), measure.Megabytes(m.Workers))
}

// latency of paced requests, 99th percentile in milliseconds: signed in at the gateway, and at the same time through
// bare Caddy, which shows what the busy machine does to a process that has nothing to do with signing in.
type latency struct {
	Gate float64 `json:"signed_in_p99_ms"`
	Bare float64 `json:"bare_p99_ms"`
}

// Table shows one figure a row.
func (r signinReport) Table() measure.Table {
	t := measure.Table{Title: "Sign-in with password and code", Head: []string{"", ""}}
	t.Add("sign-ins a second, 4 at a time", fmt.Sprintf("%.1f", r.PerSecond))
	t.Add(fmt.Sprintf("%d at once: all in after", r.CrowdSize), fmt.Sprintf("%.1f s", r.CrowdTime))
	t.Add("  answers \"busy, try again\"", fmt.Sprint(r.CrowdBusy))
	t.Add("  failed otherwise", fmt.Sprint(r.CrowdFailed))
	t.Add("  memory of gateway and workers before", r.Before.String())
	t.Add("  memory of gateway and workers at its peak", r.Peak.String())
	for _, row := range []struct {
		when string
		latency
	}{{"idle", r.Idle}, {"meanwhile", r.Crowd}} {
		t.Add("signed-in requests, p99 "+row.when, fmt.Sprintf("%.1f ms", row.Gate))
		t.Add("  through bare Caddy beside it", fmt.Sprintf("%.1f ms", row.Bare))
	}
	t.Notes = []string{"all share the machine; the crowd's clients have a lower priority"}
	return t
}

// pacedScript makes each of wrk's connections send 50 requests a second instead of as many as it can: the latency of
// people who work, not of a saturated machine.
const pacedScript = "function delay() return 20 end\n"

// runSignin measures sign-ins with a paced load of signed-in requests beside them.
func runSignin(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, bare, err := s.StartBackendAndBare(ctx)
	if err != nil {
		return nil, err
	}
	var people []seed.Person
	files, err := s.Fill(ctx, "state", func(i *seed.Installation) error {
		people, err = b.staff(ctx, i, backend.Addr, steady+crowd+1)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the gateway's state: %w", err)
	}
	gate, err := s.RunGateway(ctx, "gateway", files)
	if err != nil {
		return nil, err
	}
	cookie, err := s.SignIn(ctx, gate.Addr, "", people[0])
	if err != nil {
		return nil, fmt.Errorf("signing in: %w: %s", err, gate.LogTail())
	}
	r := signinReport{CrowdSize: crowd}
	watch := func() (latency, error) { return pacedLatency(ctx, s, gate, bare, cookie) }
	if r.Idle, err = watch(); err != nil {
		return nil, err
	}
	if err := b.steadily(ctx, s, gate, people[1:1+steady], &r); err != nil {
		return nil, err
	}
	return r, b.allAtOnce(ctx, s, gate, people[1+steady:], watch, &r)
}

// staff makes a practice and its people, each with an authenticator app, on all processors.
func (b *bench) staff(ctx context.Context, i *seed.Installation, backend string, n int) ([]seed.Person, error) {
	doc, err := seed.Harbour(backend, stage.Host)
	if err != nil {
		return nil, err
	}
	if err := i.Apply(ctx, []policy.Document{doc}, func(int) {}); err != nil {
		return nil, err
	}
	b.say("making %d people with passwords and authenticator apps", n)
	people := make([]seed.Person, n)
	return people, each(n, 4, func(k int) error {
		var err error
		people[k], err = i.Add(ctx, doc.Practice, fmt.Sprintf("person-%d@harbour.test", k), stage.Role)
		return err
	})
}

// each calls f(0) to f(n-1), at most parallel at a time, and joins the errors.
func each(n, parallel int, f func(int) error) error {
	errs := make([]error, n)
	turns := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for k := range n {
		turns <- struct{}{}
		wg.Go(func() {
			errs[k] = f(k)
			<-turns
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// steadily signs people in, four at a time.
func (b *bench) steadily(ctx context.Context, s *stage.Stage, gate *stage.Process, people []seed.Person, r *signinReport) error {
	started := time.Now()
	err := each(len(people), 4, func(k int) error {
		_, err := s.SignIn(ctx, gate.Addr, address(k), people[k])
		return err
	})
	r.PerSecond = measure.Round3(float64(len(people)) / time.Since(started).Seconds())
	return err
}

// allAtOnce lets the crowd sign in while a person who is signed in goes on working. The crowd's clients, which are this
// program, give way to everybody else: in a clinic they compute on machines of their own.
func (b *bench) allAtOnce(ctx context.Context, s *stage.Stage, gate *stage.Process, people []seed.Person,
	watch func() (latency, error), r *signinReport,
) error {
	before, _, err := readMemory(gate.PID())
	if err != nil {
		return err
	}
	if err := measure.ResetPeak(gate.PID()); err != nil {
		return err
	}
	b.say("%d people sign in at once", len(people))
	var mu sync.Mutex
	var watchErr error
	var watching sync.WaitGroup
	watching.Go(func() { r.Crowd, watchErr = watch() })
	time.Sleep(500 * time.Millisecond) // the load has begun; what is started from now on gives way
	if err := measure.GiveWay(); err != nil {
		return err
	}
	started := time.Now()
	err = each(len(people), len(people), func(k int) error {
		busy, err := insist(ctx, s, gate.Addr, address(steady+k), people[k])
		mu.Lock()
		defer mu.Unlock()
		r.CrowdBusy += busy
		if err != nil {
			r.CrowdFailed++
		}
		return err
	})
	r.CrowdTime = measure.Round3(time.Since(started).Seconds())
	watching.Wait()
	_, peak, memoryErr := readMemory(gate.PID())
	r.Before, r.Peak = before, peak
	if err != nil {
		b.say("of the crowd: %.500s", err.Error()) // counted in the report
	}
	return errors.Join(watchErr, memoryErr)
}

// readMemory reads what is resident now, and what was at most.
func readMemory(pid int) (now, peak memory, err error) {
	gateway, err := measure.ReadMemory(pid)
	if err != nil {
		return memory{}, memory{}, err
	}
	workers, err := measure.ChildrenMemory(pid)
	return memory{gateway.Now, workers.Now}, memory{gateway.Peak, workers.Peak}, err
}

// insist tries again, when the gateway says, for as long as it is busy, and counts how often it was.
func insist(ctx context.Context, s *stage.Stage, addr, from string, p seed.Person) (busy int, err error) {
	for deadline := time.Now().Add(crowdLimit); ; busy++ {
		_, err = s.SignIn(ctx, addr, from, p)
		var told stage.Busy
		if !errors.As(err, &told) || time.Now().After(deadline) || ctx.Err() != nil {
			return busy, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(told.RetryAfter):
		}
	}
}

// address gives each person a loopback address of their own: no clinic has 500 people behind one.
func address(k int) string { return fmt.Sprintf("127.10.%d.%d", k/250, 1+k%250) }

// pacedLatency measures both fronts at once, for ten seconds.
func pacedLatency(ctx context.Context, s *stage.Stage, gate, bare *stage.Process, cookie string) (latency, error) {
	script, err := s.Write("paced.lua", pacedScript)
	if err != nil {
		return latency{}, err
	}
	var l latency
	fronts := []*stage.Process{gate, bare}
	into := []*float64{&l.Gate, &l.Bare}
	err = each(len(fronts), len(fronts), func(k int) error {
		result, err := measure.Load{Protocol: measure.HTTP1, URL: stage.URL(fronts[k].Addr, "/"), Header: []string{"Cookie: " + cookie},
			Connections: 16, Duration: 10 * time.Second, Script: script, MinBytes: stage.BodyBytes}.Run(ctx)
		*into[k] = measure.Round3(result.P99.Seconds() * 1e3)
		return err
	})
	return l, err
}
