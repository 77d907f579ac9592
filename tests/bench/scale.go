package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/core"
	"clinicgate/policy"
	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/seed"
	"clinicgate/tests/bench/stage"
)

// compareTime is how long the request cost of one size is compared with bare Caddy's.
const compareTime = 12 * time.Second

// scaleReport shows whether cost grows with practices or sessions.
type scaleReport struct {
	Practices []size `json:"practices"`
	Sessions  []size `json:"sessions"`
}

// size is the cost at one size of an installation.
type size struct {
	Count       int     `json:"count"`
	StartUp     float64 `json:"start_seconds"`                       // from exec to the first answer
	Memory      int64   `json:"memory_bytes"`                        // resident, once it serves
	Ratio       float64 `json:"ratio_h1"`                            // CPU of a request over bare Caddy
	RatioLow    float64 `json:"ratio_h1_low"`                        // 95 % confidence
	RatioHigh   float64 `json:"ratio_h1_high"`                       //
	Lookup      float64 `json:"lookup_ns,omitempty"`                 // in this program, with all of them cached
	Cached      int64   `json:"cached_session_bytes,omitempty"`      // live heap, each, in this program
	Served      int     `json:"served_sessions,omitempty"`           // that the gateway had requests of
	ServedBytes int64   `json:"served_session_bytes,omitempty"`      // live heap, each, with headers and assertion prepared
	FirstTouch  float64 `json:"first_requests_per_second,omitempty"` // while their sessions were only in SQL
}

// Table shows a row for each size.
func (r scaleReport) Table() measure.Table {
	t := measure.Table{Title: "Growth", Head: []string{"", "start s", "resident", "h1 ratio", "95 % from", "to"}}
	add := func(what string, s size) {
		t.Add(fmt.Sprintf("%d %s", s.Count, what), fmt.Sprintf("%.2f", s.StartUp), measure.Megabytes(s.Memory),
			fmt.Sprintf("%.3f", s.Ratio), fmt.Sprintf("%.3f", s.RatioLow), fmt.Sprintf("%.3f", s.RatioHigh))
		if s.Cached > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%d sessions: look-up %.0f ns, %d bytes of heap each; %d served: %d bytes each, first requests %.0f a second",
				s.Count, s.Lookup, s.Cached, s.Served, s.ServedBytes, s.FirstTouch))
		}
	}
	for _, s := range r.Practices {
		add("practices", s)
	}
	for _, s := range r.Sessions {
		add("sessions", s)
	}
	return t
}

// runScale measures each size on an installation of its own.
func runScale(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, bare, err := s.StartBackendAndBare(ctx)
	if err != nil {
		return nil, err
	}
	g := growth{b, s, backend, bare}
	var r scaleReport
	for _, n := range []int{10, 1_000, 10_000} {
		row, err := g.practices(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d practices: %w", n, err)
		}
		r.Practices = append(r.Practices, row)
	}
	for _, n := range []int{1_000, 1_000_000} {
		row, err := g.sessions(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d sessions: %w", n, err)
		}
		r.Sessions = append(r.Sessions, row)
	}
	return r, nil
}

// growth is what the sizes share.
type growth struct {
	bench   *bench
	stage   *stage.Stage
	backend *stage.Backend
	bare    *stage.Process
}

// practices fills an installation with n practices, one of which is used.
func (g growth) practices(ctx context.Context, n int) (size, error) {
	row := size{Count: n}
	var cookies []string
	files, err := g.stage.Fill(ctx, fmt.Sprintf("practices-%d", n), func(i *seed.Installation) error {
		doc, err := seed.Harbour(g.backend.Addr, stage.Host)
		if err != nil {
			return err
		}
		docs := append(seed.Practices(doc, n-1, ".bench.localhost"), doc)
		if err := i.Apply(ctx, docs, func(done int) { g.bench.say("%d of %d practices", done, n) }); err != nil {
			return err
		}
		people, err := i.People(ctx, doc.Practice, stage.Role, 1)
		if err != nil {
			return err
		}
		cookies, err = i.Sessions(ctx, doc.Practice, people, 1, func(int) {})
		return err
	})
	if err != nil {
		return row, err
	}
	defer func() { _ = os.RemoveAll(files.State) }()
	gate, err := g.start(ctx, files, &row)
	if err != nil {
		return row, err
	}
	defer func() { _ = gate.Stop() }()
	return row, g.weigh(ctx, contender{process: gate, header: []string{"Cookie: __Host-gate=" + cookies[0]}}, &row)
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
func (g growth) weigh(ctx context.Context, side contender, row *size) error {
	c, err := compare(ctx, g.backend, measure.HTTP1, side, contender{process: g.bare, header: side.header, script: side.script}, compareTime)
	row.Ratio, row.RatioLow, row.RatioHigh = c.Ratio.Median, c.Ratio.Low, c.Ratio.High
	return err
}

// sessions fills a practice with n sessions, brings all of them into memory, and compares the cost of requests that
// take one session after another.
func (g growth) sessions(ctx context.Context, n int) (size, error) {
	row := size{Count: n}
	var cookies []string
	files, err := g.stage.Fill(ctx, fmt.Sprintf("sessions-%d", n), func(i *seed.Installation) error {
		doc, err := seed.Harbour(g.backend.Addr, stage.Host)
		if err != nil {
			return err
		}
		doc.Session.Idle = policy.Duration(time.Hour) // filling and measuring take longer than a quarter of an hour
		if err := i.Apply(ctx, []policy.Document{doc}, func(int) {}); err != nil {
			return err
		}
		people, err := i.People(ctx, doc.Practice, stage.Role, max(10, n/500))
		if err != nil {
			return err
		}
		cookies, err = i.Sessions(ctx, doc.Practice, people, n, func(done int) {
			if done%100_000 == 0 {
				g.bench.say("%d of %d sessions", done, n)
			}
		})
		if err != nil {
			return err
		}
		return g.cacheAll(ctx, i, doc, cookies, &row)
	})
	if err != nil {
		return row, err
	}
	defer func() { _ = os.RemoveAll(files.State) }()
	gate, err := g.start(ctx, files, &row)
	if err != nil {
		return row, err
	}
	defer func() { _ = gate.Stop() }()
	if err := g.serveThem(ctx, gate, cookies, &row); err != nil {
		return row, err
	}
	script, err := g.cookieScript("served", cookies[:row.Served])
	if err != nil {
		return row, err
	}
	return row, g.weigh(ctx, contender{process: gate, script: script}, &row)
}

// cacheAll brings every session into the memory of this program and measures what that takes and what a look-up costs.
func (g growth) cacheAll(ctx context.Context, i *seed.Installation, doc policy.Document, cookies []string, row *size) error {
	limits, err := seed.Limits(doc, policy.Platform{})
	if err != nil {
		return err
	}
	sessions := i.Core().Sessions
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = i.Core().Feed.Run(ctx) }() // without news of revocations every look-up would ask SQL
	before := liveHeap()
	g.bench.say("caching %d sessions", len(cookies))
	err = each(len(cookies), 4, func(k int) error {
		_, err := sessions.Lookup(ctx, limits, cookies[k])
		return err
	})
	if err != nil {
		return err
	}
	row.Cached = (liveHeap() - before) / int64(len(cookies))
	result := testing.Benchmark(func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			_, _ = sessions.Lookup(ctx, limits, cookies[n*7919%len(cookies)]) // a prime: no two neighbours in a row
		}
	})
	row.Lookup = float64(result.NsPerOp())
	return nil
}

// liveHeap is what this program's heap holds after a garbage collection, in bytes.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// servingLimit is how long the gateway is given to serve each session for the first time.
const servingLimit = 90 * time.Second

// serveThem sends one request for each session, as many as the time allows, and reads what the gateway's live heap has
// grown by.
func (g growth) serveThem(ctx context.Context, gate *stage.Process, cookies []string, row *size) error {
	before, err := g.stage.LiveHeap(ctx, gate)
	if err != nil {
		return err
	}
	const step = 5 * time.Second
	for started := time.Now(); row.Served < len(cookies) && time.Since(started) < servingLimit; {
		script, err := g.cookieScript("first", cookies[row.Served:])
		if err != nil {
			return err
		}
		result, err := measure.Load{Protocol: measure.HTTP1, URL: stage.URL(gate.Addr, "/"), Connections: 16, Script: script,
			Duration: step, MinBytes: stage.BodyBytes}.Run(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s", err, gate.LogTail())
		}
		if row.Served == 0 {
			row.FirstTouch = math.Round(float64(result.Requests) / result.Elapsed.Seconds())
		}
		row.Served = min(row.Served+int(result.Requests), len(cookies))
		g.bench.say("%d of %d sessions were served", row.Served, len(cookies))
	}
	after, err := g.stage.LiveHeap(ctx, gate)
	if err != nil {
		return err
	}
	row.ServedBytes = (after - before) / int64(row.Served)
	memory, err := measure.ReadMemory(gate.PID())
	row.Memory = memory.Now
	return err
}

// cookieScript makes wrk send the cookies one after another.
func (g growth) cookieScript(name string, cookies []string) (string, error) {
	file, err := g.stage.Write(name+".cookies", strings.Join(cookies, "\n")+"\n")
	if err != nil {
		return "", err
	}
	return g.stage.Write(name+".lua", fmt.Sprintf(`local cookies, next = {}, 0
function init()
	for line in io.lines(%q) do cookies[#cookies + 1] = line end
end
function request()
	next = next %% #cookies + 1
	wrk.headers["Cookie"] = "__Host-gate=" .. cookies[next]
	return wrk.format()
end
`, file))
}
