package limit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"clinicgate/gateway/limit"
	"clinicgate/gateway/redis"
	"clinicgate/gateway/redis/redistest"
)

// patient waits for hours, so that no wait ends during a test.
var patient = limit.Backoff{Free: 5, First: time.Hour, Max: 4 * time.Hour, Forget: 24 * time.Hour}

// watched is a node that tries Redis all the time, and what it tells its operators.
type watched struct {
	*limit.Limiter
	alarms chan error
}

func watch(t *testing.T, o limit.Options, client *goredis.Client) watched {
	t.Helper()
	w := watched{alarms: make(chan error, 100)}
	o.Redis, o.Alarm = client, func(err error) { w.alarms <- err }
	w.Limiter = limit.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want context.Canceled", err)
		}
	})
	return w
}

// nobody is a port of the loopback address that nothing listens on.
const nobody = 9

// fault breaks a Redis, and says how it is mended.
type fault func(t *testing.T, s *redistest.Server, p *redistest.Proxy) (mend func())

var faults = map[string]fault{
	"stopped": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Kill()
		return func() { s.Restart(t) }
	},
	"paused": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Pause(t)
		return func() { s.Resume(t) }
	},
	"slow": func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) func() {
		p.Slow(150 * time.Millisecond)
		return func() { p.Slow(0) }
	},
	"a replica, read-only": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Do(t, "REPLICAOF", "127.0.0.1", nobody)
		return func() { s.Do(t, "REPLICAOF", "NO", "ONE") }
	},
	"failing over, nothing to read": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Do(t, "CONFIG", "SET", "replica-serve-stale-data", "no")
		s.Do(t, "REPLICAOF", "127.0.0.1", nobody)
		return func() { s.Do(t, "REPLICAOF", "NO", "ONE") }
	},
	"full": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
		return func() { s.Do(t, "CONFIG", "SET", "maxmemory", "0") }
	},
	"another password": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		admin := goredis.NewClient(&goredis.Options{Addr: s.Addr(), PoolSize: 1, OnConnect: nil})
		t.Cleanup(func() { _ = admin.Close() })
		conn := admin.Conn()
		t.Cleanup(func() { _ = conn.Close() })
		for _, command := range [][]any{{"CONFIG", "SET", "requirepass", "changed"}, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}} {
			if err := conn.Do(t.Context(), command...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		return func() {
			if err := conn.Do(t.Context(), "CONFIG", "SET", "requirepass", "").Err(); err != nil {
				t.Fatal(err)
			}
		}
	},
	"loading what it saved": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Do(t, "EVAL", `for i = 1, 5000 do redis.call('SET', 'other ' .. i, string.rep('x', 2000)) end`, 0)
		s.Do(t, "SAVE")
		s.Restart(t, "--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024", "--rdbcompression", "no")
		return func() { s.Do(t, "CONFIG", "SET", "key-load-delay", "0") }
	},
}

// TestRedisFaultsLiftNoLimit (THREATS L3): whatever happens to Redis, the node
// that has seen an account's five attempts lets no sixth through, before,
// during and after. The owner's own device gets in all the time, and operators
// hear of it once when it begins and once when it ends.
func TestRedisFaultsLiftNoLimit(t *testing.T) {
	for name, breakIt := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := s.Proxy(t)
			node := watch(t, limit.Options{Password: patient}, redistest.Client(t, redis.Options{URL: p.URL}))
			guess := func(n int) limit.Attempt { return from(attempt(1), n) }
			owner := attempt(1)
			owner.Device = true
			ownerGetsIn := func(when string) {
				t.Helper()
				if v := node.Take(t.Context(), owner); !v.Allowed() {
					t.Errorf("%s: the owner's own device is refused by %s", when, v.Reason())
				}
				node.Succeeded(t.Context(), owner)
			}

			if got := allowed(t, node.Limiter, 3, guess); got != 3 {
				t.Fatalf("%d of 3 attempts passed", got)
			}
			ownerGetsIn("before")
			if got := node.Stats(); got.Failing || got.Alone != 0 {
				t.Fatalf("before: %+v", got)
			}
			mend := breakIt(t, s, p)
			if err := <-node.alarms; err == nil {
				t.Fatal("recovered before it failed")
			}
			if got := allowed(t, node.Limiter, 20, guess); got != 2 {
				t.Errorf("during: %d attempts passed, want the 2 that were left", got)
			}
			ownerGetsIn("during")
			if got := node.Stats(); !got.Failing || got.Alone == 0 {
				t.Errorf("during: %+v, want it to be failing and this node alone", got)
			}
			mend()
			if err := <-node.alarms; err != nil {
				t.Fatalf("a second alarm: %v", err)
			}
			alone := node.Stats().Alone
			if got := allowed(t, node.Limiter, 20, guess); got != 0 {
				t.Errorf("after: %d attempts passed, want none", got)
			}
			ownerGetsIn("after")
			other := attempt(2)
			if got := allowed(t, node.Limiter, 20, func(n int) limit.Attempt { return from(other, n) }); got != 5 {
				t.Errorf("after: another account got %d attempts, want 5", got)
			}
			if got := node.Stats(); got.Failing || got.Alone != alone {
				t.Errorf("after: %+v, want Redis to decide again (%d alone)", got, alone)
			}
		})
	}
}

// TestFlushedRedisLiftsNoLimit: nobody fails and nothing is there. The first
// node to ask tells Redis what it knows, and the others hear it.
func TestFlushedRedisLiftsNoLimit(t *testing.T) {
	w := newRedisWorld(t, limit.Options{Password: patient, Strangers: limit.Budgets{Address: limit.Budget{Limit: 7, Period: time.Hour}}}, 2)
	flush := func() { // as FLUSHALL does, the scripts too
		limit.Redis(w.nodes[0]).FlushAll(t.Context())
		limit.Redis(w.nodes[0]).ScriptFlush(t.Context())
	}
	first, second := w.nodes[0], w.nodes[1]
	guess := func(n int) limit.Attempt { return from(attempt(1), n) }
	allowed(t, first, 3, guess)
	flush()
	if got := allowed(t, first, 20, guess); got != 2 {
		t.Errorf("%d attempts passed after the flush, want the 2 that were left", got)
	}
	if got := allowed(t, second, 20, guess); got != 0 {
		t.Errorf("%d attempts passed on the other node, want none", got)
	}
	allowed(t, first, 7, func(n int) limit.Attempt { return attempt(10 + n) })
	flush()
	if got := allowed(t, first, 20, func(n int) limit.Attempt { return attempt(30 + n) }); got != 0 {
		t.Errorf("%d attempts passed from a used up address, want none", got)
	}
}

// TestSuccessElsewhereIsBelieved: an old failure does not come back
// over a success that another node saw later.
func TestSuccessElsewhereIsBelieved(t *testing.T) {
	w := newRedisWorld(t, limit.Options{Password: patient}, 2)
	allowed(t, w.nodes[0], 4, func(n int) limit.Attempt { return from(attempt(1), n) })
	if !w.nodes[1].Take(t.Context(), attempt(1)).Allowed() {
		t.Fatal("the fifth attempt is refused")
	}
	w.nodes[1].Succeeded(t.Context(), attempt(1))
	if got := allowed(t, w.nodes[0], 20, func(n int) limit.Attempt { return from(attempt(1), n) }); got != 5 {
		t.Errorf("%d attempts passed after the success, want 5", got)
	}
}

// TestSuccessWithoutRedisIsBelieved: failures that Redis has kept do not come
// back over a success that it was not told of.
func TestSuccessWithoutRedisIsBelieved(t *testing.T) {
	s := redistest.Start(t)
	node := watch(t, limit.Options{Password: patient}, redistest.Client(t, redis.Options{URL: s.URL()}))
	guess := func(n int) limit.Attempt { return from(attempt(1), n) }
	allowed(t, node.Limiter, 4, guess)
	s.Pause(t)
	<-node.alarms
	if !node.Take(t.Context(), attempt(1)).Allowed() {
		t.Fatal("the fifth attempt is refused")
	}
	node.Succeeded(t.Context(), attempt(1))
	s.Resume(t)
	<-node.alarms
	if got := allowed(t, node.Limiter, 20, guess); got != 5 {
		t.Errorf("%d attempts passed after the success, want 5", got)
	}
}

// TestNodesAloneGiveAtMostOneBudgetEach is the worst case that is documented:
// with Redis gone N nodes give at most N budgets, all together, and none on
// top when it is back.
func TestNodesAloneGiveAtMostOneBudgetEach(t *testing.T) {
	s := redistest.Start(t)
	var nodes []watched
	for range 3 {
		nodes = append(nodes, watch(t, limit.Options{Password: patient}, redistest.Client(t, redis.Options{URL: s.URL()})))
	}
	passed := 0
	round := func() {
		for _, node := range nodes {
			passed += allowed(t, node.Limiter, 10, func(n int) limit.Attempt { return from(attempt(1), n) })
		}
	}
	round()
	if passed != 5 {
		t.Fatalf("%d attempts passed with Redis, want 5", passed)
	}
	s.Kill()
	for _, node := range nodes {
		<-node.alarms
	}
	round()
	if passed != 5 { // every node has seen a refusal, and so knows all
		t.Errorf("%d attempts passed in all, want 5", passed)
	}
	other := 0
	for _, node := range nodes {
		other += allowed(t, node.Limiter, 10, func(n int) limit.Attempt { return from(attempt(2), n) })
	}
	if other != 15 {
		t.Errorf("%d attempts at an account that nobody has seen passed on 3 nodes, want 15", other)
	}
	s.Restart(t)
	for _, node := range nodes {
		<-node.alarms
	}
	for _, node := range nodes {
		other += allowed(t, node.Limiter, 10, func(n int) limit.Attempt { return from(attempt(2), n) })
	}
	if other != 15 {
		t.Errorf("%d attempts passed in all after Redis came back, want 15", other)
	}
}

// TestRedisDownAtTheStart: a gateway starts without its Redis, limits, and
// takes it when it comes.
func TestRedisDownAtTheStart(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	node := watch(t, limit.Options{Password: patient}, redistest.Client(t, redis.Options{URL: s.URL()}))
	if got := allowed(t, node.Limiter, 20, func(n int) limit.Attempt { return from(attempt(1), n) }); got != 5 {
		t.Errorf("%d attempts passed, want 5", got)
	}
	if err := <-node.alarms; err == nil {
		t.Error("no alarm")
	}
	s.Restart(t)
	if err := <-node.alarms; err != nil {
		t.Errorf("a second alarm: %v", err)
	}
	if got := allowed(t, node.Limiter, 20, func(n int) limit.Attempt { return from(attempt(1), n) }); got != 0 {
		t.Errorf("%d more attempts passed, want none", got)
	}
}

// TestWrongPasswordIsAnAlarmThatNamesNone: the gateway's own password is in no log.
func TestWrongPasswordIsAnAlarmThatNamesNone(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "right")
	node := watch(t, limit.Options{Password: patient}, redistest.Client(t, redis.Options{URL: s.URL(), Password: "canary-4711"}))
	err := <-node.alarms
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("the alarm is %v", err)
	}
	if got := allowed(t, node.Limiter, 20, func(n int) limit.Attempt { return from(attempt(1), n) }); got != 5 {
		t.Errorf("%d attempts passed, want 5", got)
	}
}

// TestHangingUpDoesNotChooseWhoCounts: a client that closes its connection
// must not turn a decision of all nodes into one of this node.
func TestHangingUpDoesNotChooseWhoCounts(t *testing.T) {
	w := newRedisWorld(t, limit.Options{Password: patient}, 2)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	passed := 0
	for n := range 20 {
		if w.nodes[n%2].Take(gone, from(attempt(1), n)).Allowed() {
			passed++
		}
	}
	if passed != 5 {
		t.Errorf("%d attempts passed on two nodes, want 5", passed)
	}
}

// TestKeysInRedisNameNobody: neither people nor addresses can be read there.
func TestKeysInRedisNameNobody(t *testing.T) {
	s := redistest.Start(t)
	l := limit.New(limit.Options{Redis: redistest.Client(t, redis.Options{URL: s.URL()})})
	allowed(t, l, 10, func(int) limit.Attempt { return attempt(1) })
	keys, _ := s.Do(t, "KEYS", "*").([]any)
	if len(keys) < 5 {
		t.Errorf("only %d keys", len(keys))
	}
	for _, key := range keys {
		for _, name := range []string{"harbour", "person", "203.0.113"} {
			if strings.Contains(fmt.Sprint(key), name) {
				t.Errorf("the key %v names %s", key, name)
			}
		}
	}
}
