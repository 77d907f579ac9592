package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"clinicgate/policy"
	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/seed"
	"clinicgate/tests/bench/stage"
)

// sessionsReport shows whether cost grows with the sessions.
type sessionsReport struct {
	Sizes []sessionsSize `json:"sizes"`
}

// sessionsSize adds what a session costs. A request is a session's first on this node (found in SQL, headers and
// assertion made), one that renews (found in memory, headers and assertion made, which happens once in half of an
// assertion's life), or a warm one (found in memory with everything prepared), which is what Ratio is of.
type sessionsSize struct {
	size
	Active     int     `json:"active_sessions"`                     // that the warm requests are of
	Collector  float64 `json:"collector_us"`                        // CPU of a warm request's share of the garbage collection
	Renewing   float64 `json:"renewing_ratio_h1,omitempty"`         // CPU over bare Caddy when every request renews
	RenewCost  float64 `json:"renewing_us,omitempty"`               // CPU of such a request
	FirstCost  float64 `json:"first_request_us,omitempty"`          // CPU of a first request, with all that follows in the background
	FirstRate  float64 `json:"first_requests_per_second,omitempty"` // with 16 at once
	Served     int     `json:"served_sessions"`                     // that the gateway had requests of
	ServedHeap int64   `json:"served_session_bytes"`                // live heap, each, some with headers and assertion prepared
	Cached     int64   `json:"cached_session_bytes"`                // live heap, each, in this program
	Lookup     float64 `json:"lookup_ns"`                           // in this program, with all of them cached
}

// Table shows a row for each size.
func (r sessionsReport) Table() measure.Table {
	t := measure.Table{Title: "Growth with sessions; the ratio is of warm requests", Head: append(head[:len(head):len(head)], "collector µs", "renewing µs", "first µs", "first/s")}
	shown := func(v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", v)
	}
	for _, s := range r.Sizes {
		t.Add(append(s.cells("sessions"), shown(s.Collector), shown(s.RenewCost), shown(s.FirstCost), shown(s.FirstRate))...)
		t.Notes = append(t.Notes, fmt.Sprintf("%d sessions: look-up %.0f ns, %d bytes of heap each; %d served: %d bytes each; %d active",
			s.Count, s.Lookup, s.Cached, s.Served, s.ServedHeap, s.Active))
	}
	return t
}

func runSessions(ctx context.Context, b *bench) (report, error) {
	rows, err := grow(ctx, b, []int{1_000, 1_000_000}, growth.sessions)
	return sessionsReport{rows}, err
}

// sessions fills a practice with n sessions, lets the gateway serve each once, and compares the cost of requests that
// renew and of warm ones while it holds all of them.
func (g growth) sessions(ctx context.Context, n int) (sessionsSize, error) {
	row := sessionsSize{size: size{Count: n}}
	var cookies []string
	files, err := g.stage.Fill(ctx, fmt.Sprintf("sessions-%d", n), func(i *seed.Installation) (err error) {
		cookies, err = g.seed(ctx, i, &row)
		return err
	})
	if err != nil {
		return row, err
	}
	defer func() { _ = os.RemoveAll(files.State) }()
	gate, err := g.start(ctx, files, &row.size)
	if err != nil {
		return row, err
	}
	defer func() { _ = gate.Stop() }()
	if err := g.serveThem(ctx, gate, cookies, &row); err != nil {
		return row, err
	}
	if err := g.weighRenewing(ctx, gate, cookies[:row.Served], &row); err != nil {
		return row, err
	}
	return row, g.weighWarm(ctx, gate, cookies[:row.Served], &row)
}

// seed makes people and n sessions, and measures look-ups among them.
func (g growth) seed(ctx context.Context, i *seed.Installation, row *sessionsSize) ([]string, error) {
	doc, err := seed.Harbour(g.backend.Addr, stage.Host)
	if err != nil {
		return nil, err
	}
	doc.Session.Idle = policy.Duration(time.Hour) // filling and measuring take longer than a quarter of an hour
	if err := i.Apply(ctx, []policy.Document{doc}, func(int) {}); err != nil {
		return nil, err
	}
	people, err := i.People(ctx, doc.Practice, stage.Role, max(10, row.Count/500))
	if err != nil {
		return nil, err
	}
	cookies, err := i.Sessions(ctx, doc.Practice, people, row.Count, func(done int) {
		if done%100_000 == 0 {
			g.bench.say("%d of %d sessions", done, row.Count)
		}
	})
	if err != nil {
		return nil, err
	}
	return cookies, g.cacheAll(ctx, i, doc, cookies, row)
}

// cacheAll brings every session into the memory of this program and measures what that takes and what a look-up costs.
func (g growth) cacheAll(ctx context.Context, i *seed.Installation, doc policy.Document, cookies []string, row *sessionsSize) error {
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
const servingLimit = 5 * time.Minute

// serveThem sends one request for each session, as many as the time allows, and reads what they cost and what the
// gateway's live heap has grown by.
func (g growth) serveThem(ctx context.Context, gate *stage.Process, cookies []string, row *sessionsSize) error {
	before, err := g.stage.Heap(ctx, gate, true)
	if err != nil {
		return err
	}
	profiled := g.profile(ctx, gate, "first", 30*time.Second, row.Count)
	var firsts int64
	var elapsed, used time.Duration
	for started := time.Now(); row.Served < len(cookies) && time.Since(started) < servingLimit; {
		left := cookies[row.Served:]
		result, cost, err := g.walk(ctx, gate, left, 5*time.Second)
		if err != nil {
			return err
		}
		if int(result.Requests) <= len(left) { // the last walk begins anew: not all of its requests are first ones
			firsts, elapsed, used = firsts+result.Requests, elapsed+result.Elapsed, used+cost
		}
		row.Served += min(int(result.Requests), len(left))
		g.bench.say("%d of %d sessions were served", row.Served, len(cookies))
	}
	if firsts > 0 {
		row.FirstRate = measure.Round3(float64(firsts) / elapsed.Seconds())
		row.FirstCost = measure.Round3(used.Seconds() * 1e6 / float64(firsts))
	}
	after, err := g.stage.Heap(ctx, gate, true)
	if err != nil {
		return err
	}
	row.ServedHeap = (after.Now - before.Now) / int64(row.Served)
	memory, err := measure.ReadMemory(gate.PID())
	row.Memory = memory.Now
	return errors.Join(err, <-profiled)
}

// walk sends requests of one session after another for d, and says what CPU they took.
func (g growth) walk(ctx context.Context, gate *stage.Process, cookies []string, d time.Duration) (measure.Result, time.Duration, error) {
	script, err := g.cookieScript("walk", cookies)
	if err != nil {
		return measure.Result{}, 0, err
	}
	before, err := measure.CPU(gate.PID())
	if err != nil {
		return measure.Result{}, 0, err
	}
	result, err := measure.Load{Protocol: measure.HTTP1, URL: stage.URL(gate.Addr, "/"), Connections: 16, Script: script,
		Duration: d, MinBytes: stage.BodyBytes}.Run(ctx)
	if err != nil {
		return result, 0, fmt.Errorf("%w: %s", err, gate.LogTail())
	}
	after, err := measure.CPU(gate.PID())
	return result, after - before, err
}

// renewable is how many of the sessions served first are asked again to weigh requests that renew: more than the time
// allows, so that none is asked twice.
const renewable = 100_000

// weighRenewing compares requests of sessions that were served too long ago to have their assertion still. Few sessions
// cannot show that: each would renew once in the time and be warm for the rest.
func (g growth) weighRenewing(ctx context.Context, gate *stage.Process, cookies []string, row *sessionsSize) error {
	if len(cookies) < 2*renewable {
		return nil
	}
	c, err := g.weighCookies(ctx, gate, "renewing", cookies[:renewable], row.Count)
	row.Renewing, row.RenewCost = c.Ratio.Median, c.Cost.Median
	return err
}

// activeSessions is how many are in use while the others rest in memory.
const activeSessions = 20_000

// weighWarm compares requests of active sessions, which lie all over the others, each asked for some seconds before, so
// that its headers and assertion are still good.
func (g growth) weighWarm(ctx context.Context, gate *stage.Process, cookies []string, row *sessionsSize) error {
	row.Active = min(activeSessions, len(cookies))
	active := make([]string, row.Active)
	for k := range active {
		active[k] = cookies[k*(len(cookies)/row.Active)]
	}
	for warmed := 0; warmed < len(active); {
		result, _, err := g.walk(ctx, gate, active[warmed:], 3*time.Second)
		if err != nil {
			return err
		}
		warmed += int(result.Requests)
	}
	c, err := g.weighCookies(ctx, gate, "warm", active, row.Count)
	row.set(c)
	return errors.Join(err, g.collector(ctx, gate, active, row))
}

// collector works out a warm request's share of the garbage collector's rounds. With a large heap they are too seldom
// to fall into the time that is weighed, and there the median would leave them out.
func (g growth) collector(ctx context.Context, gate *stage.Process, active []string, row *sessionsSize) error {
	before, err := g.stage.Heap(ctx, gate, false)
	if err != nil {
		return err
	}
	result, _, err := g.walk(ctx, gate, active, 2*time.Second)
	if err != nil {
		return err
	}
	after, err := g.stage.Heap(ctx, gate, false)
	if err != nil {
		return err
	}
	began, err := measure.CPU(gate.PID())
	if err != nil {
		return err
	}
	live, err := g.stage.Heap(ctx, gate, true)
	if err != nil {
		return err
	}
	ended, err := measure.CPU(gate.PID())
	perRound := float64(live.Next-live.Now) / (float64(after.Allocated-before.Allocated) / float64(result.Requests))
	row.Collector = measure.Round3((ended - began).Seconds() * 1e6 / perRound)
	return err
}

// weighCookies compares requests that take one session after another.
func (g growth) weighCookies(ctx context.Context, gate *stage.Process, name string, cookies []string, n int) (comparison, error) {
	script, err := g.cookieScript(name, cookies)
	if err != nil {
		return comparison{}, err
	}
	profiled := g.profile(ctx, gate, name, compareTime-time.Second, n)
	c, err := g.weigh(ctx, contender{process: gate, script: script})
	return c, errors.Join(err, <-profiled)
}

// profile takes a CPU profile of a part of the section, if one was asked for; the error comes when it is done.
func (g growth) profile(ctx context.Context, gate *stage.Process, part string, d time.Duration, n int) <-chan error {
	done := make(chan error, 1)
	if g.bench.profile == "" {
		close(done)
		return done
	}
	go func() { done <- g.stage.Profile(ctx, gate, d, fmt.Sprintf("%s.%s-%d", g.bench.profile, part, n)) }()
	return done
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
