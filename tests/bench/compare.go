package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/stage"
)

// burstTime is one side's turn. Long against the scheduler's slices and the garbage collector's rounds, short
// against what else a machine does.
const burstTime = 150 * time.Millisecond

// contender is one front under load.
type contender struct {
	process *stage.Process
	header  []string
	script  string // for wrk; HTTP/1.1 only
	tree    bool   // works in child processes
}

// cpu is what the front has used so far.
func (c contender) cpu() (time.Duration, error) {
	if c.tree {
		return measure.TreeCPU(c.process.PID())
	}
	return measure.CPU(c.process.PID())
}

// hold connects a load generator to the front, as many requests at once over either protocol.
func (c contender) hold(ctx context.Context, p measure.Protocol, d time.Duration) (*measure.Pulse, error) {
	load := measure.Load{Protocol: p, URL: stage.URL(c.process.Addr, "/"), Header: c.header, Duration: d, Connections: 16,
		Script: c.script, MinBytes: stage.BodyBytes}
	if p == measure.HTTP2 {
		load.Connections, load.Streams = 4, 4
	}
	return load.Hold(ctx)
}

// comparison of two fronts at one protocol: microseconds of CPU a request, and the quotients round by round.
type comparison struct {
	Ratio measure.Summary `json:"ratio"`
	Cost  measure.Summary `json:"cost_us"`
	Bare  measure.Summary `json:"bare_us"`
}

// check sends one request, since the load generators do not tell what a front answered instead of 200.
func (c contender) check(ctx context.Context) error {
	if c.script != "" {
		return nil // its requests are the script's
	}
	if err := c.process.Answers(ctx, c.header); err != nil {
		return fmt.Errorf("asking %s: %w: %s", c.process.Name, err, c.process.LogTail())
	}
	return nil
}

// compare runs rounds of two bursts each, A B, B A, A B, …, for about d, and takes each round's own quotient: what
// disturbs the machine meets both sides.
func compare(ctx context.Context, b *stage.Backend, p measure.Protocol, side, bare contender, d time.Duration) (comparison, error) {
	d = d.Round(time.Second)
	started := time.Now()
	sides := []contender{bare, side}
	var pulses [2]*measure.Pulse
	for i, c := range sides {
		if err := c.check(ctx); err != nil {
			return comparison{}, err
		}
		pulse, err := c.hold(ctx, p, d)
		if err != nil {
			return comparison{}, fmt.Errorf("loading %s: %w", c.process.Name, err)
		}
		defer pulse.Kill()
		pulses[i] = pulse
	}
	var costs [2][]float64
	// Of the generators' time the last part is left for their own ending.
	for round := 0; time.Since(started) < d-2*burstTime-200*time.Millisecond; round++ {
		for k := range sides {
			i := (round + k) % 2
			cost, err := burst(ctx, b, sides[i], pulses[i])
			if err != nil {
				return comparison{}, fmt.Errorf("loading %s: %w", sides[i].process.Name, err)
			}
			costs[i] = append(costs[i], cost*1e6)
		}
	}
	for i, pulse := range pulses {
		if _, err := pulse.End(); err != nil {
			return comparison{}, fmt.Errorf("loading %s: %w", sides[i].process.Name, err)
		}
	}
	return comparison{
		Ratio: measure.Summarise(measure.Ratios(costs[1], costs[0])).Round(),
		Cost:  measure.Summarise(costs[1]).Round(),
		Bare:  measure.Summarise(costs[0]).Round(),
	}, nil
}

// burst gives one side its turn and returns the CPU seconds that its process took for a request that arrived at the
// backend. Both counts are read at rest: nothing is half done.
func burst(ctx context.Context, b *stage.Backend, c contender, pulse *measure.Pulse) (float64, error) {
	requests, err := b.Settled(ctx)
	if err != nil {
		return 0, err
	}
	used, err := c.cpu()
	if err != nil {
		return 0, err
	}
	if err := pulse.Burst(ctx, burstTime); err != nil {
		return 0, err
	}
	after, err := b.Settled(ctx)
	if err != nil {
		return 0, err
	}
	usedAfter, err := c.cpu()
	if err != nil {
		return 0, err
	}
	if after == requests {
		return math.NaN(), fmt.Errorf("no request arrived in %v", burstTime)
	}
	return (usedAfter - used).Seconds() / float64(after-requests), nil
}
