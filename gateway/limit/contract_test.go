package limit_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/limit"
	"clinicgate/gateway/redis"
	"clinicgate/gateway/redis/redistest"
)

// world is somewhere that attempts are counted, and a time that can be moved.
type world struct {
	nodes   []*limit.Limiter
	advance func(time.Duration)
}

// worlds are a node by itself, a node with Redis, and two nodes with one Redis.
var worlds = map[string]func(*testing.T, limit.Options) world{
	"memory":              newMemoryWorld,
	"redis":               func(t *testing.T, o limit.Options) world { return newRedisWorld(t, o, 1) },
	"two nodes and redis": func(t *testing.T, o limit.Options) world { return newRedisWorld(t, o, 2) },
}

func newMemoryWorld(_ *testing.T, o limit.Options) world {
	c := newClock()
	o.Now = c.Now
	return world{[]*limit.Limiter{limit.New(o)}, c.Advance}
}

func newRedisWorld(t *testing.T, o limit.Options, nodes int) world {
	t.Helper()
	s, c := redistest.Start(t), newClock()
	w := world{advance: func(d time.Duration) { c.Advance(d); age(t, s, d) }}
	o.Now = c.Now
	for range nodes {
		o.Redis = redistest.Client(t, redis.Options{URL: s.URL()})
		w.nodes = append(w.nodes, limit.New(o))
	}
	t.Cleanup(func() {
		for _, l := range w.nodes {
			if got := l.Stats().Alone; got != 0 {
				t.Errorf("a node decided %d attempts without Redis", got)
			}
		}
	})
	return w
}

// age brings the end of every key nearer by d.
func age(t *testing.T, s *redistest.Server, d time.Duration) {
	t.Helper()
	s.Do(t, "EVAL", `
		for _, key in ipairs(redis.call('KEYS', '*')) do
			local left = redis.call('PTTL', key)
			if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
		end`, 0, d.Milliseconds())
}

// TestAccountContract: memory, Redis, and several nodes with one Redis decide
// alike. "+" is an attempt that passes, "-1h" one that is told to wait so
// long, ">1h" time that goes by, "ok" and "back" say that the last attempt was
// right or could not be checked. Waits are in hours, so that how fast the
// machine is plays no part.
func TestAccountContract(t *testing.T) {
	options := limit.Options{
		Password:  limit.Backoff{Free: 3, First: time.Hour, Max: 4 * time.Hour, Forget: 24 * time.Hour},
		Strangers: limit.Budgets{AddressDay: limit.Budget{Limit: 1000, Period: 24 * time.Hour}},
	}
	tests := map[string]string{
		"grows to its maximum":                 "+ + + -1h >61m + -2h >121m + -4h >241m + -4h >200m -40m",
		"refusals change nothing":              "+ + + -1h -1h -1h -1h >30m -30m -30m >31m + -2h",
		"success forgets":                      "+ + + -1h >61m + -2h >121m + ok + + + -1h",
		"success each time":                    "+ ok + ok + ok + ok + ok + ok + ok",
		"gives back a free attempt":            "+ back + back + back + + + -1h",
		"gives back a pass of the gate":        "+ + + back + -1h >61m + back + -2h",
		"gives back nothing that is not taken": "+ back back back + + + -1h",
		"forgotten after a day":                "+ + + -1h >25h + + + -1h",
		"a day from the first attempt":         "+ >23h + + -1h >70m + + + -1h",
		"forgotten, the success too":           "+ + ok >25h + + + -1h",
	}
	for where, open := range worlds {
		for name, steps := range tests {
			t.Run(where+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := open(t, options)
				last := w.nodes[0]
				for i, step := range strings.Fields(steps) {
					switch {
					case step == "ok":
						last.Succeeded(t.Context(), attempt(1))
					case step == "back":
						last.Return(t.Context(), attempt(1))
					case step[0] == '>':
						d, _ := time.ParseDuration(step[1:])
						w.advance(d)
					default:
						last = w.nodes[i%len(w.nodes)]
						v := last.Take(t.Context(), attempt(1))
						want, _ := time.ParseDuration(strings.Trim(step, "+-"))
						if got := v.RetryAfter().Round(time.Minute); v.Allowed() != (want == 0) || got != want {
							t.Fatalf("step %d, %q: allowed %v, wait %v by %q", i, step, v.Allowed(), got, v.Reason())
						}
					}
				}
			})
		}
	}
}

// Two nodes at once never let more through than one would, whichever budget.
func TestParallelAttemptsOnTwoNodesNeverExceedTheBudget(t *testing.T) {
	seven := limit.Budget{Limit: 7, Period: time.Hour}
	patient := limit.Backoff{Free: 5, First: time.Hour, Max: 4 * time.Hour, Forget: 24 * time.Hour}
	tests := map[string]struct {
		options limit.Options
		attempt func(n int) limit.Attempt
		want    int64
	}{
		"account":  {limit.Options{Password: patient}, func(n int) limit.Attempt { return from(attempt(1), n) }, 5},
		"address":  {limit.Options{Strangers: limit.Budgets{Address: seven}}, attempt, 7},
		"day":      {limit.Options{Strangers: limit.Budgets{AddressDay: seven}}, attempt, 7},
		"practice": {limit.Options{Strangers: limit.Budgets{Practice: seven}}, func(n int) limit.Attempt { return from(attempt(n), n) }, 7},
		"gateway":  {limit.Options{Strangers: limit.Budgets{Gateway: seven}}, func(n int) limit.Attempt { return from(attempt(n), n) }, 7},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newRedisWorld(t, tt.options, 2)
			var passed atomic.Int64
			var all sync.WaitGroup
			for n := range 20 {
				all.Go(func() {
					if w.nodes[n%2].Take(t.Context(), tt.attempt(n)).Allowed() {
						passed.Add(1)
					}
				})
			}
			all.Wait()
			for n := range 20 { // whoever was refused gave back, so all of the budget is to be had
				if w.nodes[n%2].Take(t.Context(), tt.attempt(100+n)).Allowed() {
					passed.Add(1)
				}
			}
			if got := passed.Load(); got != tt.want {
				t.Errorf("%d attempts passed, want %d", got, tt.want)
			}
		})
	}
}

// Successes must not pile up in Redis into credit for guesses, as they do in
// the library's own store.
func TestSuccessesAreNoCreditInRedis(t *testing.T) {
	w := newRedisWorld(t, limit.Options{Strangers: limit.Budgets{Address: limit.Budget{Limit: 20, Period: 10 * time.Minute}}}, 2)
	for i := range 15 {
		w.nodes[0].Take(t.Context(), attempt(i))
	}
	w.advance(11 * time.Minute) // the window they were counted in is over
	for i := range 15 {
		w.nodes[0].Succeeded(t.Context(), attempt(i))
	}
	got := 0
	for i, node := range w.nodes { // each of which would let 20 through by itself
		got += allowed(t, node, 100, func(n int) limit.Attempt { return attempt(1000*(i+1) + n) })
	}
	if got != 20 {
		t.Errorf("%d guesses passed, want 20", got)
	}
}

// Whoever is refused takes nothing from the budgets in Redis that others share.
func TestRefusedAttemptsDoNotUseUpSharedBudgetsInRedis(t *testing.T) {
	w := newRedisWorld(t, limit.Options{Password: patient, Strangers: limit.Budgets{Address: limit.Budget{Limit: 20, Period: time.Hour}}}, 2)
	hammered := allowed(t, w.nodes[0], 100, func(int) limit.Attempt { return attempt(1) })
	others := allowed(t, w.nodes[1], 100, func(n int) limit.Attempt { return attempt(10 + n) })
	if hammered != 5 || others != 15 {
		t.Errorf("%d attempts at one account and %d at others passed, want 5 and the 15 that are left", hammered, others)
	}
}

// THREATS L2: what strangers do on one node locks the owner out on none.
func TestStrangersDoNotLockTheOwnersDeviceOutOnAnyNode(t *testing.T) {
	w := newRedisWorld(t, limit.Options{Strangers: limit.Budgets{Practice: limit.Budget{Limit: 50, Period: time.Hour}}}, 2)
	for i := range 300 {
		w.nodes[0].Take(t.Context(), from(attempt(i%20), i))
	}
	owner := attempt(1)
	if w.nodes[1].Take(t.Context(), owner).Allowed() {
		t.Fatal("the stranger is still allowed")
	}
	owner.Device = true
	for i, node := range w.nodes {
		if v := node.Take(t.Context(), owner); !v.Allowed() {
			t.Errorf("the owner on a known device is refused by %s on node %d", v.Reason(), i)
		}
	}
}

// A key that lost its end gets one with the next refusal, and so heals.
func TestKeyWithoutAnEndHeals(t *testing.T) {
	short := limit.Budget{Limit: 2, Period: time.Hour}
	tests := map[string]struct {
		options limit.Options
		attempt func(n int) limit.Attempt
	}{
		"account": {limit.Options{Password: limit.Backoff{Free: 2, First: time.Hour, Max: time.Hour, Forget: 2 * time.Hour}}, func(n int) limit.Attempt { return from(attempt(1), n) }},
		"address": {limit.Options{Strangers: limit.Budgets{Address: short}}, attempt},
		"gateway": {limit.Options{Strangers: limit.Budgets{Gateway: short}}, func(n int) limit.Attempt { return from(attempt(n), n) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, c := redistest.Start(t), newClock()
			tt.options.Now = c.Now
			node := func() *limit.Limiter { // that knows nothing itself
				tt.options.Redis = redistest.Client(t, redis.Options{URL: s.URL()})
				return limit.New(tt.options)
			}
			allowed(t, node(), 3, tt.attempt)
			s.Do(t, "EVAL", `for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('PERSIST', key) end`, 0)
			if got := allowed(t, node(), 3, func(n int) limit.Attempt { return tt.attempt(10 + n) }); got != 0 {
				t.Errorf("%d attempts passed a used up budget that lost its end", got)
			}
			age(t, s, 3*time.Hour)
			if got := allowed(t, node(), 3, func(n int) limit.Attempt { return tt.attempt(20 + n) }); got == 0 {
				t.Error("closed for good")
			}
		})
	}
}
