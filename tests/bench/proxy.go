package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/stage"
)

const (
	// proxyLimit is how long the proxy section may take from the start of tests/bench/run, warm-up included.
	proxyLimit = 47 * time.Second
	// roundTime is how long a round takes: four bursts, and a little for starting the load generators.
	roundTime = 4*burstTime + time.Second
	burstTime = time.Second
	maxRounds = 15
)

// contender is one front under load.
type contender struct {
	process *stage.Process
	header  []string
	tree    bool // works in child processes
}

// comparison of two fronts at one protocol. Microseconds of CPU a request, and the quotients round by round.
type comparison struct {
	Ratio measure.Summary `json:"ratio"`
	Gate  measure.Summary `json:"gate_us"`
	Bare  measure.Summary `json:"bare_us"`
}

// proxyReport is the line that `--only proxy --json` prints; the two ratios come first.
type proxyReport struct {
	RatioH1 float64    `json:"ratio_h1"`
	RatioH2 float64    `json:"ratio_h2"`
	Rounds  int        `json:"rounds"`
	H1      comparison `json:"h1"`
	H2      comparison `json:"h2"`
	Backend string     `json:"backend"`
	Seconds float64    `json:"seconds"`
	title   string
}

// Table shows both protocols.
func (r proxyReport) Table() measure.Table {
	t := measure.Table{Title: r.title, Head: []string{"", "bare µs", "gateway µs", "ratio", "lowest", "highest"},
		Notes: []string{fmt.Sprintf("medians of %d rounds; backend %s; %.0f s", r.Rounds, r.Backend, r.Seconds)}}
	for _, row := range []struct {
		name string
		c    comparison
	}{{"HTTP/1.1", r.H1}, {"HTTP/2", r.H2}} {
		t.Add(row.name, fmt.Sprintf("%.1f", row.c.Bare.Median), fmt.Sprintf("%.1f", row.c.Gate.Median),
			fmt.Sprintf("%.3f", row.c.Ratio.Median), fmt.Sprintf("%.3f", row.c.Ratio.Min), fmt.Sprintf("%.3f", row.c.Ratio.Max))
	}
	return t
}

// runProxy compares the gateway, a person signed in, with bare Caddy.
func runProxy(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, kind, err := s.StartBackend(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := s.StartBare(ctx, "bare", backend.Addr)
	if err != nil {
		return nil, err
	}
	gate, err := s.StartGateway(ctx, backend.Addr)
	if err != nil {
		return nil, err
	}
	cookie, err := gate.SignIn(ctx)
	if err != nil {
		return nil, fmt.Errorf("signing in: %w", err)
	}
	// Both sides get the same bytes; bare Caddy hands the cookie on.
	header := []string{"Cookie: " + cookie}
	report, err := compare(ctx, contender{process: gate.Process, header: header}, contender{process: bare, header: header},
		b.started.Add(proxyLimit))
	if err != nil {
		return nil, err
	}
	if err := gate.CheckSignedIn(ctx, cookie); err != nil {
		return nil, fmt.Errorf("after the load: %w", err)
	}
	report.Backend, report.title = kind, "CPU of the proxy process per request, gateway with everything on over bare reverse_proxy"
	return report, nil
}

// runNoise puts a second bare Caddy in the gateway's place: what differs from 1.000 is noise.
func runNoise(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, kind, err := s.StartBackend(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := s.StartBare(ctx, "bare", backend.Addr)
	if err != nil {
		return nil, err
	}
	other, err := s.StartBare(ctx, "other", backend.Addr)
	if err != nil {
		return nil, err
	}
	report, err := compare(ctx, contender{process: other}, contender{process: bare}, time.Now().Add(proxyLimit))
	report.Backend, report.title = kind, "Noise: bare reverse_proxy over another bare reverse_proxy; 1.000 is exact"
	return report, err
}

// compare runs interleaved rounds (A B, B A, …) until the time is used, so that a disturbance meets both sides.
func compare(ctx context.Context, gate, bare contender, until time.Time) (proxyReport, error) {
	started := time.Now()
	protocols := []measure.Protocol{measure.HTTP1, measure.HTTP2}
	costs := map[measure.Protocol]*[2][]float64{measure.HTTP1: {}, measure.HTTP2: {}}
	for _, p := range protocols { // warm-up: connections, caches and the heap's size settle
		for _, side := range []contender{bare, gate} {
			if _, _, err := side.burst(ctx, p, burstTime); err != nil {
				return proxyReport{}, err
			}
		}
	}
	rounds := 0
	for ; rounds < maxRounds && (rounds < 3 || time.Until(until) > roundTime); rounds++ {
		for _, p := range protocols {
			sides := []int{0, 1}
			if rounds%2 == 1 {
				sides = []int{1, 0}
			}
			for _, i := range sides {
				cost, _, err := []contender{bare, gate}[i].burst(ctx, p, burstTime)
				if err != nil {
					return proxyReport{}, err
				}
				costs[p][i] = append(costs[p][i], cost*1e6)
			}
		}
	}
	r := proxyReport{Rounds: rounds, Seconds: math.Round(time.Since(started).Seconds())}
	r.H1, r.H2 = weigh(costs[measure.HTTP1]), weigh(costs[measure.HTTP2])
	r.RatioH1, r.RatioH2 = r.H1.Ratio.Median, r.H2.Ratio.Median
	return r, nil
}

// weigh turns the costs of both sides into medians.
func weigh(costs *[2][]float64) comparison {
	return comparison{
		Ratio: rounded(measure.Summarise(measure.Ratios(costs[1], costs[0]))),
		Gate:  rounded(measure.Summarise(costs[1])),
		Bare:  rounded(measure.Summarise(costs[0])),
	}
}

func rounded(s measure.Summary) measure.Summary {
	return measure.Summary{Median: measure.Round3(s.Median), Min: measure.Round3(s.Min), Max: measure.Round3(s.Max), Rounds: s.Rounds}
}

// burst loads one front and returns the CPU seconds that its process took for a request.
func (c contender) burst(ctx context.Context, p measure.Protocol, d time.Duration) (float64, measure.Result, error) {
	load := measure.Load{Protocol: p, URL: stage.URL(c.process.Addr, "/"), Header: c.header, Duration: d,
		Connections: 16, MinBytes: stage.BodyBytes}
	if p == measure.HTTP2 {
		load.Connections, load.Streams = 4, 4
	}
	clock := measure.CPU
	if c.tree {
		clock = measure.TreeCPU
	}
	before, err := clock(c.process.PID())
	if err != nil {
		return 0, measure.Result{}, err
	}
	result, err := load.Run(ctx)
	if err != nil {
		return 0, result, fmt.Errorf("loading %s: %w", c.process.Name, err)
	}
	after, err := clock(c.process.PID())
	if err != nil {
		return 0, result, err
	}
	return (after - before).Seconds() / float64(result.Requests), result, nil
}
