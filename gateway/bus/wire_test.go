package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/redis"
	"clinicgate/gateway/redis/redistest"
)

// never is an interval that ends in no test: what arrives, the wire has brought.
const never = 24 * time.Hour

// newWiredNode runs a node with Redis.
func newWiredNode(t *testing.T, reg *database.DB, url string, interval time.Duration) *node {
	t.Helper()
	n := newNode(t, reg, time.Now)
	n.SetInterval(interval)
	n.Over(bus.NewRedis(redistest.Client(t, redis.Options{URL: url})))
	n.run(t)
	return n
}

// hears waits until the node's wire is up or down. The test's own time limit is the only clock.
func (n *node) hears(want bool) {
	for n.Listening() != want {
		time.Sleep(time.Millisecond)
	}
}

// TestChangeIsHeardWithoutPolling, and again after Redis was gone: what was lost meanwhile comes with the next word.
func TestChangeIsHeardWithoutPolling(t *testing.T) {
	s, dir := redistest.Start(t), t.TempDir()
	a := newWiredNode(t, openSet(t, dir).Registry(), s.URL(), never)
	b := newWiredNode(t, openSet(t, dir).Registry(), s.URL(), never)
	for _, n := range []*node{a, b} {
		n.hears(true)
	}
	a.publish(t, "1")
	b.await(1)
	b.publish(t, "2")
	a.await(2)
	s.Kill()
	a.hears(false)
	b.hears(false)
	a.publish(t, "lost")
	s.Restart(t)
	a.hears(true)
	b.hears(true)
	a.publish(t, "3")
	b.await(4)
	want := []string{"1 harbour session 1", "2 harbour session 2", "3 harbour session lost", "4 harbour session 3"}
	if diff := cmp.Diff(want, b.refs()); diff != "" {
		t.Error(diff)
	}
}

// TestPausedRedisIsNoticedAndLeft: its connections stay open, and say nothing.
func TestPausedRedisIsNoticedAndLeft(t *testing.T) {
	s := redistest.Start(t)
	n := newWiredNode(t, openSet(t, t.TempDir()).Registry(), s.URL(), bus.Interval)
	n.hears(true)
	s.Pause(t)
	n.hears(false)
	s.Resume(t)
	n.hears(true)
}

// TestLostWordCostsOnePoll: without Redis the feed is what it was before (THREATS Z3).
func TestLostWordCostsOnePoll(t *testing.T) {
	s, dir := redistest.Start(t), t.TempDir()
	s.Kill()
	a := newWiredNode(t, openSet(t, dir).Registry(), s.URL(), bus.Interval)
	b := newWiredNode(t, openSet(t, dir).Registry(), s.URL(), bus.Interval)
	a.publish(t, "1")
	b.await(1)
	if b.Listening() {
		t.Error("hears a server that is not there")
	}
}

// flood is a wire that says the same again and again.
type flood struct {
	seq  int64
	done chan struct{}
}

func (w *flood) Announce(context.Context, int64) error { return errors.New("deaf") }

func (w *flood) Listen(ctx context.Context, ready func(), heard func(int64)) error {
	ready()
	for range 100_000 {
		heard(w.seq)
	}
	close(w.done)
	<-ctx.Done()
	return ctx.Err()
}

// TestFloodOfWordsCostsNothing: who may write to Redis can neither make the nodes read all the time nor tell them
// anything.
func TestFloodOfWordsCostsNothing(t *testing.T) {
	for name, seq := range map[string]int64{"of what is known": 0, "of what is not there": 1 << 60, "of nonsense": -1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var looks atomic.Int64
			n := newNode(t, openSet(t, dir).Registry(), func() time.Time { looks.Add(1); return time.Now() })
			n.SetInterval(never)
			w := &flood{seq, make(chan struct{})}
			n.Over(w)
			n.run(t)
			<-w.done
			n.publish(t, "own") // is delivered in its turn, whatever was said
			if diff := cmp.Diff([]string{"1 harbour session own"}, n.refs()); diff != "" {
				t.Error(diff)
			}
			if got := looks.Load(); got > 20 { // a poll looks at the clock three times
				t.Errorf("the node looked at the clock %d times", got)
			}
		})
	}
}

// TestPace: how soon the next poll is, in milliseconds.
func TestPace(t *testing.T) {
	type step struct {
		after int // since the step before
		word  bool
		found bool
		fails bool
		want  int
	}
	tests := map[string][]step{
		"no word":                       {{want: 250}, {after: 250, want: 250}},
		"word is followed":              {{want: 250}, {after: 100, word: true, want: -80}, {found: true, want: 250}},
		"at once again":                 {{want: 250}, {after: 100, word: true, want: -80}, {found: true, want: 250}, {after: 5, word: true, want: 15}},
		"not twice when it was nothing": {{want: 250}, {after: 100, word: true, want: -80}, {want: 250}, {after: 5, word: true, want: 245}},
		"but later again":               {{want: 250}, {after: 100, word: true, want: -80}, {want: 250}, {after: 250, want: 250}, {after: 30, word: true, want: -10}},
		"not while polling fails":       {{fails: true, want: 500}, {after: 100, word: true, want: 400}, {after: 400, fails: true, want: 1000}},
		"failures are paused for 5 s at most": {
			{fails: true, want: 500}, {fails: true, want: 1000}, {fails: true, want: 2000}, {fails: true, want: 4000}, {fails: true, want: 5000}, {want: 250},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			p, now := bus.NewPace(), newClock().now()
			for i, s := range steps {
				now = now.Add(time.Duration(s.after) * time.Millisecond)
				var err error
				if s.fails {
					err = database.ErrUnavailable
				}
				var got time.Duration
				if s.word {
					got = p.Heard(now)
				} else {
					got = p.Polled(now, s.found, err)
				}
				if want := time.Duration(s.want) * time.Millisecond; got != want {
					t.Errorf("step %d: next in %v, want %v", i, got, want)
				}
			}
		})
	}
}
