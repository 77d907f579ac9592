package directory_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/config"
	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

var (
	operator = directory.Author{Who: "operator", Why: "test"}
	start    = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

// node is one gateway process: its own database handle, feed and directory over a shared state folder.
type node struct {
	*directory.Directory
	db   *database.Set
	feed *bus.Feed
	now  time.Time
	seen []bus.Change // what its feed delivered
}

func openNode(t testing.TB, dir string, pf policy.Platform) *node {
	t.Helper()
	n := &node{now: start}
	clock := func() time.Time { return n.now }
	var err error
	if n.db, err = databasetest.Open(t, database.Options{Dir: dir, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.db.Close() })
	n.feed = bus.New(n.db.Registry(), clock)
	n.feed.Subscribe(func(c bus.Change) { n.seen = append(n.seen, c) })
	if n.Directory, err = directory.Open(t.Context(), n.db.Registry(), n.feed, pf, directory.Clock(clock)); err != nil {
		t.Fatal(err)
	}
	return n
}

// open is a node on a fresh state folder with this platform, or the default one.
func open(t testing.TB, platform ...policy.Platform) *node {
	t.Helper()
	pf := defaultPlatform(t)
	if len(platform) > 0 {
		pf = platform[0]
	}
	return openNode(t, filepath.Join(t.TempDir(), "state"), pf)
}

func defaultPlatform(t testing.TB) policy.Platform {
	t.Helper()
	pf, err := config.DecodePlatform("platform.yaml", []byte("regions:\n  au: {upstreams: [\"10.0.0.1:9000\"]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return pf
}

// document is a practice's document as its admin would write it; lines are added to it.
func document(t testing.TB, id string, hosts []string, lines ...string) policy.Document {
	t.Helper()
	text := fmt.Sprintf("practice: %s\nname: Practice %s\nhosts: [%s]\nregion: au\n", id, id, strings.Join(hosts, ", "))
	doc, err := config.DecodeDocument(id+".yaml", []byte(text+strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func apply(t testing.TB, n *node, doc policy.Document) directory.Result {
	t.Helper()
	result, err := n.Apply(t.Context(), doc, operator, false)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// sql changes the registry behind the directory's back.
func sql(t testing.TB, n *node, query string, args ...any) {
	t.Helper()
	err := n.db.Registry().Write(context.Background(), func(tx *database.Tx) error {
		affected, err := tx.Exec(context.Background(), query, args...)
		if err == nil && affected == 0 {
			err = errors.New("no row was changed")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func problemFields(t *testing.T, err error) []string {
	t.Helper()
	var problems policy.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got error %v, want policy.Problems", err)
	}
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	return fields
}

func TestPracticeIsServedWhenApplyReturns(t *testing.T) {
	n := open(t)
	result := apply(t, n, document(t, "harbour", []string{"harbour.localhost", "www.harbour.localhost"}))
	if !result.Changed || !result.Created || result.Version != 1 {
		t.Errorf("got %+v, want version 1 of a new practice", result)
	}
	p := n.ByHost("harbour.localhost")
	if p == nil {
		t.Fatal("the host is not known")
	}
	if p != n.ByHost("www.harbour.localhost") || p != n.ByID("harbour") || len(n.All()) != 1 || n.All()[0] != p {
		t.Error("the ways to find the practice lead to different ones")
	}
	if p.ID != "harbour" || p.Version != 1 || p.Generation != 1 || p.Suspended || p.Broken != "" || p.Policy.Practice() != "harbour" {
		t.Errorf("got %+v", p)
	}
	if diff := cmp.Diff([]string{"10.0.0.1:9000"}, p.Upstreams); diff != "" {
		t.Errorf("the region's upstreams are not the practice's: %s", diff)
	}
}

func TestHostIsMatchedExactlyAndThereIsNoDefaultPractice(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	for _, host := range []string{"", "localhost", "HARBOUR.localhost", "harbour.localhost.", "harbour.localhost:443",
		"x.harbour.localhost", "harbour", "*", "127.0.0.1"} {
		if p := n.ByHost(host); p != nil {
			t.Errorf("ByHost(%q) is practice %s, want none", host, p.ID)
		}
	}
}

func TestRestartFindsTheSamePractices(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	n := openNode(t, dir, defaultPlatform(t))
	for _, id := range []string{"harbour", "banksia", "wattle"} {
		apply(t, n, document(t, id, []string{id + ".localhost"}))
	}
	if err := n.Suspend(t.Context(), "banksia", operator); err != nil {
		t.Fatal(err)
	}
	if err := n.Remove(t.Context(), "wattle", operator); err != nil {
		t.Fatal(err)
	}
	describe := func(n *node) (out []string) {
		for _, p := range n.All() {
			out = append(out, fmt.Sprint(p.ID, p.Version, p.Generation, p.Hosts, p.Suspended, p.Broken, p.Upstreams, p.Policy.Name()))
		}
		return out
	}
	want := describe(n)
	if len(want) != 2 {
		t.Fatalf("got %d practices, want 2", len(want))
	}
	if diff := cmp.Diff(want, describe(openNode(t, dir, defaultPlatform(t)))); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

func TestListThatWasReadStaysAsItWas(t *testing.T) {
	n := open(t)
	for _, id := range []string{"harbour", "banksia", "wattle"} {
		apply(t, n, document(t, id, []string{id + ".localhost"}))
	}
	held := n.All()
	before := slices.Clone(held)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	if err := n.Remove(t.Context(), "banksia", operator); err != nil {
		t.Fatal(err)
	}
	apply(t, n, document(t, "acacia", []string{"acacia.localhost"}))
	if !slices.Equal(held, before) {
		t.Error("a change wrote into a list that was handed out before")
	}
}

func TestSlotKeepsOneValuePerTypeUntilThePolicyChanges(t *testing.T) {
	type one struct{ n int }
	type two struct{ s string }
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	apply(t, n, document(t, "banksia", []string{"banksia.localhost"}))
	p := n.ByID("harbour")
	if got := directory.SlotOf[one](p).Load(); got != nil {
		t.Errorf("a new slot holds %v", got)
	}
	directory.SlotOf[one](p).Store(&one{1})
	directory.SlotOf[two](p).Store(&two{"x"})
	if a, b := directory.SlotOf[one](p).Load(), directory.SlotOf[two](p).Load(); a.n != 1 || b.s != "x" {
		t.Errorf("got %v and %v", a, b)
	}
	apply(t, n, document(t, "banksia", []string{"banksia.localhost"}, "timezone: Australia/Perth"))
	if directory.SlotOf[one](n.ByID("harbour")).Load() == nil {
		t.Error("a change of another practice emptied the slot")
	}
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Australia/Perth"))
	if directory.SlotOf[one](n.ByID("harbour")).Load() != nil {
		t.Error("what was prepared for the old policy is used with the new one")
	}
}

func TestSlotIsTheSameForAllWhoAskAtOnce(t *testing.T) {
	type prepared struct{ _ int }
	const rounds, askers = 20_000, 2
	var practices [rounds]directory.Practice
	var slots [askers][rounds]*directory.Slot[prepared]
	var arrived atomic.Int64
	var wg sync.WaitGroup
	for i := range askers {
		wg.Go(func() {
			for round := range practices {
				for arrived.Add(1); arrived.Load() < int64((round+1)*askers); { // so close together that they collide
					runtime.Gosched()
				}
				slots[i][round] = directory.SlotOf[prepared](&practices[round])
			}
		})
	}
	wg.Wait()
	if slots[0] != slots[1] {
		t.Error("two slots of one type: what one request stores, another does not find")
	}
}

func TestLookUpsAllocateNothing(t *testing.T) {
	type prepared struct{ _ int }
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	directory.SlotOf[prepared](n.ByID("harbour")).Store(new(prepared))
	allocations := testing.AllocsPerRun(100, func() {
		p := n.ByHost("harbour.localhost")
		if n.ByID(p.ID) != p || n.All()[0] != p || n.ByHost("unknown.localhost") != nil || directory.SlotOf[prepared](p).Load() == nil {
			t.Fail()
		}
	})
	if allocations != 0 {
		t.Errorf("got %v allocations, want 0", allocations)
	}
}
