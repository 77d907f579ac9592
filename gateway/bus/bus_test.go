package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/policy"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

func openSet(t testing.TB, dir string) *database.Set {
	t.Helper()
	set, err := databasetest.Open(t, database.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	return set
}

// node is a feed with a subscriber that writes down what it is given.
type node struct {
	*bus.Feed
	mu   sync.Mutex
	got  []bus.Change
	news chan struct{} // something was delivered
}

func newNode(t testing.TB, reg *database.DB, now func() time.Time) *node {
	t.Helper()
	n := &node{Feed: bus.New(reg, now), news: make(chan struct{}, 1)}
	n.Subscribe(func(c bus.Change) {
		n.mu.Lock()
		n.got = append(n.got, c)
		n.mu.Unlock()
		select {
		case n.news <- struct{}{}:
		default:
		}
	})
	return n
}

// refs returns what was delivered so far.
func (n *node) refs() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []string{}
	for _, c := range n.got {
		out = append(out, fmt.Sprintf("%d %s %s %s", c.Seq, c.Practice, c.Kind, c.Ref))
	}
	return out
}

func (n *node) publish(t testing.TB, ref string) {
	t.Helper()
	if err := n.Publish(t.Context(), bus.Change{Practice: "harbour", Kind: bus.KindSession, Ref: ref}); err != nil {
		t.Fatal(err)
	}
}

// run runs the feed until the test ends.
func (n *node) run(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want context.Canceled", err)
		}
	})
}

// await waits until n changes were delivered; the test's own time limit is the only clock.
func (n *node) await(want int) {
	for len(n.refs()) < want {
		<-n.news
	}
}

func TestOwnChangeIsDeliveredBeforePublishReturnsAndOnce(t *testing.T) {
	set := openSet(t, t.TempDir())
	c := newClock()
	n := newNode(t, set.Registry(), c.now)
	n.publish(t, "a")
	want := bus.Change{Seq: 1, At: c.now(), Practice: "harbour", Kind: bus.KindSession, Ref: "a"}
	if diff := cmp.Diff([]bus.Change{want}, n.got); diff != "" {
		t.Error(diff)
	}
	for range 3 {
		if err := n.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(n.refs()); got != 1 {
		t.Errorf("got %d deliveries, want 1", got)
	}
}

func TestOthersChangesArriveInOrderBeforeOnesOwnLaterOne(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	a, b := newNode(t, openSet(t, dir).Registry(), c.now), newNode(t, openSet(t, dir).Registry(), c.now)
	a.publish(t, "1")
	a.publish(t, "2")
	b.publish(t, "3")
	a.publish(t, "4")
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 harbour session 1", "2 harbour session 2", "3 harbour session 3", "4 harbour session 4"}
	for name, n := range map[string]*node{"a": a, "b": b} {
		if diff := cmp.Diff(want, n.refs()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFeedBeginsAtItsPresentEnd(t *testing.T) {
	set := openSet(t, t.TempDir())
	c := newClock()
	newNode(t, set.Registry(), c.now).publish(t, "old")
	late := newNode(t, set.Registry(), c.now)
	late.publish(t, "new")
	if diff := cmp.Diff([]string{"2 harbour session new"}, late.refs()); diff != "" {
		t.Error(diff)
	}
}

func TestManyNodesPublishAtOnceAndAllSeeTheSameOrder(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	const nodes, each = 4, 25
	var all []*node
	for range nodes {
		n := newNode(t, openSet(t, dir).Registry(), c.now)
		n.run(t)
		all = append(all, n)
	}
	var wg sync.WaitGroup
	for i, n := range all {
		wg.Go(func() {
			for k := range each {
				n.publish(t, fmt.Sprint(i, "/", k))
			}
		})
	}
	wg.Wait()
	for i, n := range all {
		n.await(nodes * each)
		if diff := cmp.Diff(all[0].refs(), n.refs()); diff != "" {
			t.Errorf("node %d: %s", i, diff)
		}
		for k, c := range n.got {
			if c.Seq != int64(k+1) {
				t.Fatalf("node %d: got number %d in place %d", i, c.Seq, k+1)
			}
		}
	}
}

func TestChangeIsPublishedExactlyIfItsTransactionIsKept(t *testing.T) {
	set := openSet(t, t.TempDir())
	n := newNode(t, set.Registry(), newClock().now)
	mine := errors.New("mine")
	write := func(ref string, fail error) (after func()) {
		err := set.Registry().Write(t.Context(), func(tx *database.Tx) (err error) {
			after, err = n.PublishTx(t.Context(), tx, bus.Change{Practice: "harbour", Kind: bus.KindPolicy, Ref: ref})
			return errors.Join(err, fail)
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
		return after
	}
	write("undone", mine)
	if err := n.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := write("kept", nil)
	if got := n.refs(); len(got) != 0 {
		t.Errorf("delivered before its time: %v", got)
	}
	after()
	after()
	if diff := cmp.Diff([]string{"1 harbour policy kept"}, n.refs()); diff != "" {
		t.Error(diff)
	}
}

func TestBadChangeIsRefused(t *testing.T) {
	set := openSet(t, t.TempDir())
	n := newNode(t, set.Registry(), newClock().now)
	tests := []struct {
		name string
		c    bus.Change
	}{
		{"no kind", bus.Change{Practice: "harbour"}},
		{"unknown kind", bus.Change{Practice: "harbour", Kind: "weather"}},
		{"the feed's own kind", bus.Change{Kind: bus.KindAll}},
		{"bad practice", bus.Change{Practice: "../x", Kind: bus.KindPolicy}},
		{"long ref", bus.Change{Practice: "harbour", Kind: bus.KindPolicy, Ref: strings.Repeat("x", 200)}},
	}
	for _, tt := range tests {
		if err := n.Publish(t.Context(), tt.c); err == nil {
			t.Errorf("%s: published", tt.name)
		}
	}
	if err := n.Poll(t.Context()); err != nil || len(n.refs()) != 0 {
		t.Errorf("got %v, %v, want nothing", n.refs(), err)
	}
}

// breakFeed makes every read of the feed fail until the returned function is called.
func breakFeed(t *testing.T, reg *database.DB) (mend func()) {
	t.Helper()
	rename := func(from, to string) {
		err := reg.Write(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rename("change_state", "change_state_away")
	return func() { rename("change_state_away", "change_state") }
}

func TestLastOKStandsStillWhileTheRegistryFails(t *testing.T) {
	set := openSet(t, t.TempDir())
	c := newClock()
	n := newNode(t, set.Registry(), c.now)
	start := c.now()
	if got := n.LastOK(); !got.Equal(start) {
		t.Errorf("at the start: got %v, want %v", got, start)
	}
	mend := breakFeed(t, set.Registry())
	c.advance(time.Minute)
	if err := n.Poll(t.Context()); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if err := n.Publish(t.Context(), bus.Change{Practice: "harbour", Kind: bus.KindKeys}); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("publishing: got %v, want ErrUnavailable", err)
	}
	if got := n.LastOK(); !got.Equal(start) {
		t.Errorf("during the failure: got %v, want %v", got, start)
	}
	mend()
	if err := n.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.LastOK(); !got.Equal(c.now()) {
		t.Errorf("afterwards: got %v, want %v", got, c.now())
	}
}

func TestRunRecoversAndMissesNothing(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	reg := openSet(t, dir).Registry()
	polls := make(chan struct{})
	watched := func() time.Time { // a poll looks at the clock first
		select {
		case polls <- struct{}{}:
		default:
		}
		return c.now()
	}
	a, b := newNode(t, reg, c.now), newNode(t, openSet(t, dir).Registry(), watched)
	b.run(t)
	a.publish(t, "1")
	b.await(1)
	mend := breakFeed(t, reg)
	before := b.LastOK()
	for range 3 { // the third begins after the second has failed
		<-polls
	}
	c.advance(time.Minute)
	mend()
	a.publish(t, "2")
	a.publish(t, "3")
	b.await(3)
	want := []string{"1 harbour session 1", "2 harbour session 2", "3 harbour session 3"}
	if diff := cmp.Diff(want, b.refs()); diff != "" {
		t.Error(diff)
	}
	<-polls // the look at the clock after the delivery: the poll that brought 3 has ended
	if !b.LastOK().After(before) {
		t.Error("LastOK did not move on")
	}
}

func TestOwnRevocationIsDeliveredAlthoughTheRegistryFailsJustThen(t *testing.T) {
	set := openSet(t, t.TempDir())
	n := newNode(t, set.Registry(), newClock().now)
	var after func()
	err := set.Registry().Write(t.Context(), func(tx *database.Tx) (err error) {
		after, err = n.PublishTx(t.Context(), tx, bus.Change{Practice: "harbour", Kind: bus.KindSession, Ref: "s"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mend := breakFeed(t, set.Registry())
	after()
	if diff := cmp.Diff([]string{"1 harbour session s"}, n.refs()); diff != "" {
		t.Error(diff)
	}
	mend()
	if err := n.Poll(t.Context()); err != nil { // brings it once more: the node does not know that it has it
		t.Fatal(err)
	}
	if got := len(n.refs()); got > 2 {
		t.Errorf("got %d deliveries, want at most 2", got)
	}
}

func TestPrunedNumbersAreNeverUsedAgain(t *testing.T) {
	set := openSet(t, t.TempDir())
	c := newClock()
	n := newNode(t, set.Registry(), c.now)
	n.publish(t, "old")
	c.advance(25 * time.Hour)
	n.Prune(t.Context())
	var rows int
	err := set.Registry().Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM change").Scan(&rows)
	})
	if err != nil || rows != 0 {
		t.Fatalf("got %d rows, %v, want none", rows, err)
	}
	n.publish(t, "new")
	if diff := cmp.Diff([]string{"1 harbour session old", "2 harbour session new"}, n.refs()); diff != "" {
		t.Error(diff)
	}
}

func TestYoungRowsAreNotPruned(t *testing.T) {
	set := openSet(t, t.TempDir())
	c := newClock()
	other := newNode(t, set.Registry(), c.now)
	n := newNode(t, set.Registry(), c.now)
	n.publish(t, "a")
	c.advance(23 * time.Hour)
	n.publish(t, "b")
	n.Prune(t.Context())
	if err := other.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(n.refs(), other.refs()); diff != "" {
		t.Error(diff)
	}
}

func TestNodeThatMissedChangesIsToldToReadEverything(t *testing.T) {
	all := func(seq int64) []string { return []string{fmt.Sprintf("%d  all ", seq)} }
	tests := []struct {
		name   string
		happen func(t *testing.T, set *database.Set, c *clock, other *node)
		want   []string
	}{
		{"cut off for longer than rows are kept", func(t *testing.T, _ *database.Set, c *clock, other *node) {
			other.publish(t, "missed")
			c.advance(25 * time.Hour)
			other.publish(t, "kept")
			other.Prune(t.Context())
		}, all(3)},
		{"registry restored from a backup", func(t *testing.T, set *database.Set, _ *clock, _ *node) {
			exec(t, set, `DELETE FROM change`)
			exec(t, set, `UPDATE change_state SET last = 0`)
		}, all(0)},
		{"rows deleted by hand", func(t *testing.T, set *database.Set, _ *clock, other *node) {
			other.publish(t, "deleted")
			exec(t, set, `DELETE FROM change`)
		}, all(2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := openSet(t, t.TempDir())
			c := newClock()
			other := newNode(t, set.Registry(), c.now)
			other.publish(t, "seen by all")
			n := newNode(t, set.Registry(), c.now)
			tt.happen(t, set, c, other)
			for range 2 {
				if err := n.Poll(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, n.refs()); diff != "" {
				t.Error(diff)
			}
			n.publish(t, "after")
			if got := n.refs(); !strings.HasSuffix(got[len(got)-1], "after") {
				t.Errorf("got %v, want the change after at the end", got)
			}
		})
	}
}

func exec(t *testing.T, set *database.Set, query string) {
	t.Helper()
	err := set.Registry().Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLongBacklogIsDeliveredWhole(t *testing.T) {
	set := openSet(t, t.TempDir())
	c := newClock()
	n, writer := newNode(t, set.Registry(), c.now), newNode(t, set.Registry(), c.now)
	const many = 2500 // more than two batches
	err := set.Registry().Write(t.Context(), func(tx *database.Tx) error {
		for i := range many {
			change := bus.Change{Practice: policy.PracticeID("harbour"), Kind: bus.KindPerson, Ref: fmt.Sprint(i)}
			if _, err := writer.PublishTx(t.Context(), tx, change); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(n.refs()); got != many {
		t.Errorf("got %d changes, want %d", got, many)
	}
}

func BenchmarkPollNothingNew(b *testing.B) {
	n := newNode(b, openSet(b, b.TempDir()).Registry(), time.Now)
	for b.Loop() {
		if err := n.Poll(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	n := newNode(b, openSet(b, b.TempDir()).Registry(), time.Now)
	for b.Loop() {
		n.publish(b, "x")
	}
}
