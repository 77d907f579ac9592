package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/stage"
)

// proxyLimit is how long the proxy section takes from the start of tests/bench/run, everything included.
const proxyLimit = 45 * time.Second

// proxyReport is the line that `--only proxy --json` prints; the two ratios come first.
type proxyReport struct {
	RatioH1 float64    `json:"ratio_h1"`
	RatioH2 float64    `json:"ratio_h2"`
	H1      comparison `json:"h1"`
	H2      comparison `json:"h2"`
	Backend string     `json:"backend"`
	Seconds float64    `json:"seconds"`
	title   string
}

// Table shows both protocols.
func (r proxyReport) Table() measure.Table {
	t := measure.Table{Title: r.title, Head: []string{"", "bare µs", "gateway µs", "ratio", "95 % from", "to", "rounds"},
		Notes: []string{fmt.Sprintf("medians; backend %s; %.0f s", r.Backend, r.Seconds)}}
	for _, row := range []struct {
		name string
		c    comparison
	}{{"HTTP/1.1", r.H1}, {"HTTP/2", r.H2}} {
		t.Add(row.name, fmt.Sprintf("%.1f", row.c.Bare.Median), fmt.Sprintf("%.1f", row.c.Cost.Median), fmt.Sprintf("%.3f", row.c.Ratio.Median),
			fmt.Sprintf("%.3f", row.c.Ratio.Low), fmt.Sprintf("%.3f", row.c.Ratio.High), fmt.Sprint(row.c.Ratio.Rounds))
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
	backend, bare, err := s.StartBackendAndBare(ctx)
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
	left := time.Until(b.started.Add(proxyLimit))
	profiled := make(chan error, 1)
	go func() { profiled <- b.writeProfile(ctx, s, gate.Process, left-2*time.Second) }()
	r, err := compareBoth(ctx, backend, contender{process: gate.Process, header: header}, contender{process: bare, header: header}, left)
	if err == nil {
		err = <-profiled
	}
	if err != nil {
		return nil, err
	}
	if err := gate.CheckSignedIn(ctx, cookie); err != nil {
		return nil, fmt.Errorf("after the load: %w", err)
	}
	r.title = "CPU of the proxy process per request, gateway with everything on over bare reverse_proxy"
	return r, nil
}

// writeProfile takes a CPU profile of the gateway if one was asked for.
func (b *bench) writeProfile(ctx context.Context, s *stage.Stage, gate *stage.Process, d time.Duration) error {
	if b.profile == "" {
		return nil
	}
	return s.Profile(ctx, gate, d, b.profile)
}

// runNoise puts a second bare Caddy in the gateway's place: what differs from 1.000 is noise.
func runNoise(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, bare, err := s.StartBackendAndBare(ctx)
	if err != nil {
		return nil, err
	}
	other, err := s.StartBare(ctx, "other", backend.Addr)
	if err != nil {
		return nil, err
	}
	r, err := compareBoth(ctx, backend, contender{process: other}, contender{process: bare}, proxyLimit)
	r.title = "Noise: bare reverse_proxy over another bare reverse_proxy; 1.000 is exact"
	return r, err
}

// compareBoth compares over both protocols, half of d each.
func compareBoth(ctx context.Context, backend *stage.Backend, side, bare contender, d time.Duration) (proxyReport, error) {
	started := time.Now()
	half := max(3*time.Second, (d / 2).Truncate(time.Second))
	r := proxyReport{Backend: backend.Kind}
	var err error
	if r.H1, err = compare(ctx, backend, measure.HTTP1, side, bare, half); err != nil {
		return r, err
	}
	if r.H2, err = compare(ctx, backend, measure.HTTP2, side, bare, half); err != nil {
		return r, err
	}
	r.RatioH1, r.RatioH2 = r.H1.Ratio.Median, r.H2.Ratio.Median
	r.Seconds = math.Round(time.Since(started).Seconds())
	return r, nil
}
