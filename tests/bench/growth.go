package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"clinicgate/gateway/core"
	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/stage"
)

// compareTime is how long the request cost of one size is compared with bare Caddy's. It is short enough for an
// assertion that was made just before to be good until the end.
const compareTime = 12 * time.Second

// size is the cost at one size of an installation. Ratio is that of a request whose session is in memory with its
// headers and assertion prepared.
type size struct {
	Count     int     `json:"count"`
	StartUp   float64 `json:"start_seconds"` // from exec to the first answer
	Memory    int64   `json:"memory_bytes"`  // resident, once it serves
	Ratio     float64 `json:"ratio_h1"`      // CPU of a request over bare Caddy
	RatioLow  float64 `json:"ratio_h1_low"`  // 95 % confidence
	RatioHigh float64 `json:"ratio_h1_high"` //
	Cost      float64 `json:"cost_us"`       // CPU of a request
	Bare      float64 `json:"bare_us"`       // and bare Caddy's
}

// head and cells are what every size shows.
var head = []string{"", "start s", "resident", "bare µs", "gateway µs", "ratio", "95 % from", "to"}

func (s size) cells(what string) []string {
	return []string{fmt.Sprintf("%d %s", s.Count, what), fmt.Sprintf("%.2f", s.StartUp), measure.Megabytes(s.Memory),
		fmt.Sprintf("%.1f", s.Bare), fmt.Sprintf("%.1f", s.Cost),
		fmt.Sprintf("%.3f", s.Ratio), fmt.Sprintf("%.3f", s.RatioLow), fmt.Sprintf("%.3f", s.RatioHigh)}
}

// growth is what the sizes share.
type growth struct {
	bench   *bench
	stage   *stage.Stage
	backend *stage.Backend
	bare    *stage.Process
}

// grow measures each size on an installation of its own.
func grow[Row any](ctx context.Context, b *bench, counts []int, one func(growth, context.Context, int) (Row, error)) ([]Row, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, bare, err := s.StartBackendAndBare(ctx)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, n := range counts {
		row, err := one(growth{b, s, backend, bare}, ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// start runs the gateway and times it until it answers.
func (g growth) start(ctx context.Context, files core.Files, row *size) (*stage.Process, error) {
	started := time.Now()
	gate, err := g.stage.RunGateway(ctx, fmt.Sprintf("gateway-%d", row.Count), files)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, stage.URL(gate.Addr, "/.gate/health"), nil)
	if err != nil {
		return nil, err
	}
	answer, err := g.stage.Client().Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for its health: %w: %s", err, gate.LogTail())
	}
	_ = answer.Body.Close()
	row.StartUp = measure.Round3(time.Since(started).Seconds())
	memory, err := measure.ReadMemory(gate.PID())
	row.Memory = memory.Now
	return gate, err
}

// weigh compares the gateway with bare Caddy under the same load.
func (g growth) weigh(ctx context.Context, side contender) (comparison, error) {
	return compare(ctx, g.backend, measure.HTTP1, side, contender{process: g.bare, header: side.header, script: side.script}, compareTime)
}

// set enters what was weighed.
func (s *size) set(c comparison) {
	s.Ratio, s.RatioLow, s.RatioHigh = c.Ratio.Median, c.Ratio.Low, c.Ratio.High
	s.Cost, s.Bare = c.Cost.Median, c.Bare.Median
}
