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

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func TestChangeOfAnotherNodeIsReadAndNothingElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}))
	apply(t, a, document(t, "banksia", []string{"banksia.localhost"}))
	b := openNode(t, dir, defaultPlatform(t))
	banksia := b.ByID("banksia")

	apply(t, a, document(t, "harbour", []string{"moved.localhost"}))
	if err := b.Reload(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	if b.ByHost("harbour.localhost") != nil || b.ByHost("moved.localhost") == nil || b.ByID("harbour").Version != 2 {
		t.Error("the change is not in force")
	}
	if b.ByID("banksia") != banksia {
		t.Error("another practice was compiled anew")
	}
	if err := a.Suspend(t.Context(), "harbour", operator); err != nil {
		t.Fatal(err)
	}
	b.Follow(bus.Change{Practice: "harbour", Kind: bus.KindPractice})
	if !b.ByID("harbour").Suspended {
		t.Error("the suspension is not in force")
	}
	if err := a.Remove(t.Context(), "harbour", operator); err != nil {
		t.Fatal(err)
	}
	b.Follow(bus.Change{Practice: "harbour", Kind: bus.KindPractice})
	if b.ByID("harbour") != nil || b.ByHost("moved.localhost") != nil {
		t.Error("the removed practice is served")
	}
}

func TestReloadWithoutNamesFindsWhatHasChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a, b := openNode(t, dir, defaultPlatform(t)), openNode(t, dir, defaultPlatform(t))
	for _, id := range []string{"harbour", "banksia", "wattle"} {
		apply(t, a, document(t, id, []string{id + ".localhost"}))
	}
	var changed []policy.PracticeID
	b.OnChange(func(id policy.PracticeID) { changed = append(changed, id) })
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove(t.Context(), "banksia", operator); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]policy.PracticeID{"banksia", "harbour", "wattle", "banksia"}, changed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(b.All()) != 2 || b.ByHost("banksia.localhost") != nil {
		t.Error("the index is not that of the registry")
	}
}

func TestHostThatMovedIsNeverTheWrongOnesInWhateverOrderTheNewsArrives(t *testing.T) {
	for _, order := range [][]policy.PracticeID{{"harbour", "banksia"}, {"banksia", "harbour"}} {
		dir := filepath.Join(t.TempDir(), "state")
		a := openNode(t, dir, defaultPlatform(t))
		apply(t, a, document(t, "harbour", []string{"shared.localhost", "harbour.localhost"}))
		apply(t, a, document(t, "banksia", []string{"banksia.localhost"}))
		b := openNode(t, dir, defaultPlatform(t))
		apply(t, a, document(t, "harbour", []string{"harbour.localhost"}))
		apply(t, a, document(t, "banksia", []string{"shared.localhost"}))
		for _, id := range order {
			if err := b.Reload(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if p := b.ByHost("shared.localhost"); p == nil || p.ID != "banksia" {
			t.Errorf("%v: the host leads to %v, want banksia", order, p)
		}
		if b.ByHost("banksia.localhost") != nil {
			t.Errorf("%v: a host that was given up is served", order)
		}
	}
}

func TestUnknownNamesAndOtherKindsOfChangesDoNothing(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	p := n.ByID("harbour")
	for _, c := range []bus.Change{
		{Practice: "never", Kind: bus.KindPolicy}, {Practice: "", Kind: bus.KindPolicy}, {Practice: "harbour", Kind: bus.KindSession},
		{Practice: "harbour", Kind: bus.KindPolicy}, {Practice: "../../etc", Kind: bus.KindPractice},
	} {
		n.Follow(c)
	}
	if n.ByID("harbour") != p || len(n.All()) != 1 {
		t.Error("the index has changed")
	}
}

// A change that cannot be read at once is not lost: the running policy stays, and the next reading catches up.
func TestChangeThatCouldNotBeReadIsReadLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}))
	apply(t, a, document(t, "banksia", []string{"banksia.localhost"}))
	b := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Reload(gone, "harbour"); err == nil {
		t.Fatal("the reading did not fail")
	}
	if p := b.ByID("harbour"); p == nil || p.Version != 1 {
		t.Fatal("the running policy did not stay")
	}
	if err := b.Reload(t.Context(), "banksia"); err != nil || b.ByID("harbour").Version != 2 {
		t.Errorf("the change was forgotten: %v", err)
	}
}

// A commit that fails at its very end may have been kept: the practice is read anew whoever asks next.
func TestPracticeIsReadAnewAfterAFailedCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}))
	apply(t, a, document(t, "banksia", []string{"banksia.localhost"}))
	b := openNode(t, dir, defaultPlatform(t))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	changed := document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo")
	if _, err := b.Apply(gone, changed, operator, false); !errors.Is(err, database.ErrUnavailable) {
		t.Fatalf("got %v, want database.ErrUnavailable", err)
	}
	if err := b.Suspend(gone, "banksia", operator); !errors.Is(err, database.ErrUnavailable) {
		t.Fatalf("got %v, want database.ErrUnavailable", err)
	}
	apply(t, a, changed)
	if err := a.Suspend(t.Context(), "banksia", operator); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(t.Context(), "wattle"); err != nil {
		t.Fatal(err)
	}
	if b.ByID("harbour").Version != 2 || !b.ByID("banksia").Suspended {
		t.Error("the practices were not read anew")
	}
}

func TestRunCatchesUpAndStops(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}))
	b := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	caught := make(chan struct{})
	b.OnChange(func(policy.PracticeID) { close(caught) })
	ctx, cancel := context.WithCancel(t.Context())
	gone, end := context.WithCancel(ctx)
	end()
	_ = b.Reload(gone, "harbour") // marks it and fails
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-caught
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || b.ByID("harbour").Version != 2 {
		t.Errorf("Run ended with %v at version %d", err, b.ByID("harbour").Version)
	}
}

func TestRaisedFloorBreaksOnlyWhatIsBelowItAndComesBack(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "strong", []string{"strong.localhost"}))
	apply(t, n, document(t, "weak", []string{"weak.localhost"}, "sign_in: {second_factor: {stage: off}}"))
	raised := defaultPlatform(t)
	raised.Floor.SecondFactor = policy.Enforced
	before, err := n.CheckPlatform(t.Context(), raised)
	if err != nil || len(before) != 1 || before[0].Practice != "weak" || !strings.Contains(before[0].Reason, "second_factor") {
		t.Errorf("CheckPlatform says %v, %v, want weak", before, err)
	}
	if len(n.Problems()) != 0 {
		t.Fatal("asking changed something")
	}
	if err := n.SetPlatform(t.Context(), raised); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, n.Problems()); diff != "" {
		t.Errorf("CheckPlatform foresaw otherwise (-foreseen +got):\n%s", diff)
	}
	if p := n.ByHost("weak.localhost"); p == nil || p.ID != "weak" || p.Policy != nil {
		t.Errorf("got %+v, want a broken weak", p)
	}
	if p := n.ByHost("strong.localhost"); p.Broken != "" {
		t.Errorf("strong is broken: %s", p.Broken)
	}
	if err := n.SetPlatform(t.Context(), defaultPlatform(t)); err != nil || len(n.Problems()) != 0 {
		t.Errorf("the lowered floor heals nothing: %v, %v", err, n.Problems())
	}
}

func TestSamePlatformKeepsWhatIsPrepared(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	p := n.ByID("harbour")
	var told []policy.PracticeID
	n.OnChange(func(id policy.PracticeID) { told = append(told, id) })
	if err := n.SetPlatform(t.Context(), defaultPlatform(t)); err != nil || n.ByID("harbour") != p {
		t.Errorf("the same platform replaced the practice: %v", err)
	}
	other := defaultPlatform(t)
	other.Regions = map[string]policy.Region{"au": {Upstreams: []string{"10.0.0.2:9000"}}}
	if err := n.SetPlatform(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"10.0.0.2:9000"}, n.ByID("harbour").Upstreams); diff != "" {
		t.Errorf("the region's new upstreams are not used: %s", diff)
	}
	if diff := cmp.Diff([]policy.PracticeID{"harbour"}, told); diff != "" {
		t.Errorf("OnChange (-want +got):\n%s", diff)
	}
}

func TestPlatformStaysWhenTheRegistryCannotBeRead(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "weak", []string{"weak.localhost"}, "sign_in: {second_factor: {stage: off}}"))
	raised := defaultPlatform(t)
	raised.Floor.SecondFactor = policy.Enforced
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.SetPlatform(gone, raised); err == nil {
		t.Fatal("the platform was set without reading the registry")
	}
	if len(n.Problems()) != 0 {
		t.Error("a practice broke")
	}
	apply(t, n, document(t, "weak", []string{"weak.localhost"}, "sign_in: {second_factor: {stage: report}}"))
}

// Eight readers during 200 changes: a host always leads to a practice that has it, a request that holds on to a Practice
// sees one policy, and no reader ever goes back to an older version.
func TestReadersAlwaysSeeAConsistentSnapshot(t *testing.T) {
	n := open(t)
	ids := []string{"harbour", "banksia", "wattle", "acacia"}
	version := func(id string, i int) policy.Document {
		return document(t, id, []string{id + ".localhost", fmt.Sprintf("%s-%d.localhost", id, i)},
			fmt.Sprintf("upstreams: [\"10.0.0.1:%d\"]", 1000+i))
	}
	for _, id := range ids {
		apply(t, n, version(id, 1))
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			seen := map[string]int64{}
			for ; !stop.Load(); runtime.Gosched() {
				for _, id := range ids {
					if err := consistent(n.ByHost(id+".localhost"), id, seen[id]); err != nil {
						t.Error(err)
						return
					}
					seen[id] = n.ByID(policy.PracticeID(id)).Version
				}
				if all := n.All(); len(all) != len(ids) || !slices.IsSortedFunc(all, func(a, b *directory.Practice) int {
					return strings.Compare(string(a.ID), string(b.ID))
				}) {
					t.Errorf("All is %v", all)
					return
				}
			}
		})
	}
	for i := range 50 {
		for _, id := range ids {
			apply(t, n, version(id, i+2))
		}
	}
	stop.Store(true)
	readers.Wait()
	for _, id := range ids {
		if p := n.ByHost(id + "-51.localhost"); p == nil || p.Version != 51 || n.ByHost(id+"-50.localhost") != nil {
			t.Errorf("%s ended at %+v", id, p)
		}
	}
}

// consistent checks that everything in p is of the same version, and of at least the one seen before.
func consistent(p *directory.Practice, id string, atLeast int64) error {
	if p == nil {
		return fmt.Errorf("%s is not served", id)
	}
	own := []string{fmt.Sprintf("%s-%d.localhost", id, p.Version), id + ".localhost"}
	slices.Sort(own)
	upstream := fmt.Sprintf("10.0.0.1:%d", 1000+p.Version)
	hosts := p.Policy.Hosts()
	slices.Sort(hosts)
	switch {
	case string(p.ID) != id, p.Version < atLeast, !slices.Equal(p.Hosts, own), !slices.Equal(hosts, own),
		!slices.Equal(p.Upstreams, []string{upstream}), p.Policy.Practice() != p.ID:
		return fmt.Errorf("%s: version %d (after %d) with hosts %v and %v, upstreams %v", id, p.Version, atLeast, p.Hosts, hosts, p.Upstreams)
	}
	return nil
}

// Two changes at once must not end with the older one in force: what was read first is published last here.
func TestOlderReadingNeverReplacesANewerOne(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	late := func() func() {
		publish, err := n.ReadNow(t.Context(), "harbour")
		if err != nil {
			t.Fatal(err)
		}
		return publish
	}
	publish := late()
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	if publish(); n.ByID("harbour").Version != 2 {
		t.Error("the older policy is in force")
	}
	publish = late()
	if err := n.Suspend(t.Context(), "harbour", operator); err != nil {
		t.Fatal(err)
	}
	if publish(); !n.ByID("harbour").Suspended {
		t.Error("the suspension was undone")
	}
	publish = late()
	if err := n.Remove(t.Context(), "harbour", operator); err != nil {
		t.Fatal(err)
	}
	if publish(); n.ByID("harbour") != nil || n.ByHost("harbour.localhost") != nil {
		t.Error("the removed practice is back")
	}
}

// A change that lands while another is read must not be taken for the one that was read.
func TestMarkSetDuringAReadingSurvivesIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}))
	b := openNode(t, dir, defaultPlatform(t))
	apply(t, a, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	b.OnChange(func(policy.PracticeID) { // runs after the reading and before its marks are dropped
		if b.ByID("harbour").Version == 2 {
			apply(t, a, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Seoul"))
			_ = b.Reload(gone, "harbour")
		}
	})
	for range 2 {
		if err := b.Reload(t.Context(), "harbour"); err != nil {
			t.Fatal(err)
		}
		if b.ByID("harbour").Version == 2 {
			if err := b.Reload(t.Context(), "banksia"); err != nil { // reads what is marked, too
				t.Fatal(err)
			}
			break
		}
	}
	if got := b.ByID("harbour").Version; got != 3 {
		t.Errorf("version %d is in force, want 3", got)
	}
}
