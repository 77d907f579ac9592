package directory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func TestUnchangedDocumentMakesNoVersion(t *testing.T) {
	n := open(t)
	doc := document(t, "harbour", []string{"harbour.localhost"})
	first := apply(t, n, doc)
	before, news := n.ByID("harbour"), len(n.seen)
	doc.Network.Allow, doc.StepUp = []string{}, []policy.StepUpRule{} // empty in another way
	second := apply(t, n, doc)
	want := directory.Result{Practice: "harbour", Version: 1, Generation: 1, Hash: first.Hash}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("second Apply (-want +got):\n%s", diff)
	}
	if n.ByID("harbour") != before || len(n.seen) != news {
		t.Error("an unchanged document changed the index or was announced")
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	n := open(t)
	result, err := n.Apply(t.Context(), document(t, "harbour", []string{"harbour.localhost"}), operator, true)
	if err != nil || !result.Changed || !result.Created || result.Version != 1 || !strings.Contains(result.Diff, "+ name: Practice harbour") {
		t.Errorf("got %+v, %v", result, err)
	}
	if n.ByHost("harbour.localhost") != nil || len(n.seen) != 0 {
		t.Error("a dry run is in force")
	}
	if _, err := n.History(t.Context(), "harbour"); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("a dry run left a history: %v", err)
	}
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	_, err = n.Apply(t.Context(), document(t, "banksia", []string{"harbour.localhost"}), operator, true)
	if err == nil || !strings.Contains(err.Error(), "practice harbour") {
		t.Errorf("a dry run does not see the duplicate host: %v", err)
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	n := open(t)
	doc := document(t, "harbour", []string{"harbour.localhost"})
	doc.Timezone, doc.SignIn.SecondFactor.Stage, doc.Binding.Action = "Mars/Olympus", "sometimes", "explode"
	_, err := n.Apply(t.Context(), doc, operator, false)
	fields := strings.Join(problemFields(t, err), " ")
	for _, want := range []string{"timezone", "sign_in.second_factor.stage", "binding.action"} {
		if !strings.Contains(fields, want) {
			t.Errorf("the problems %q lack %s", fields, want)
		}
	}
	if n.ByID("harbour") != nil {
		t.Error("a refused policy is in force")
	}
}

func TestPolicyBelowTheFloorIsRefusedAndTheRunningOneStays(t *testing.T) {
	pf := defaultPlatform(t)
	pf.Floor.SecondFactor = policy.Enforced
	n := open(t, pf)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	running := n.ByID("harbour")
	doc := document(t, "harbour", []string{"harbour.localhost"})
	doc.SignIn.SecondFactor.Stage = policy.Off
	_, err := n.Apply(t.Context(), doc, operator, false)
	if diff := cmp.Diff([]string{"sign_in.second_factor.stage"}, problemFields(t, err)); diff != "" {
		t.Error(diff)
	}
	if n.ByID("harbour") != running {
		t.Error("the running policy did not stay")
	}
}

func TestHostOfAnotherPracticeIsRefusedNamingIt(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"a.localhost", "b.localhost"}))
	_, err := n.Apply(t.Context(), document(t, "banksia", []string{"x.localhost", "b.localhost", "a.localhost"}), operator, false)
	if diff := cmp.Diff([]string{"hosts[2]", "hosts[1]"}, problemFields(t, err)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(err.Error(), "a.localhost is a host of practice harbour") {
		t.Errorf("got %v", err)
	}
	if p := n.ByHost("a.localhost"); p.ID != "harbour" || n.ByHost("x.localhost") != nil {
		t.Error("a refused practice has taken hosts")
	}
}

func TestChangedHostsAreFreed(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"old.localhost", "kept.localhost"}))
	result := apply(t, n, document(t, "harbour", []string{"new.localhost", "kept.localhost"}))
	if want := "- hosts[0]: old.localhost\n+ hosts[0]: new.localhost"; result.Diff != want {
		t.Errorf("got diff\n%s\nwant\n%s", result.Diff, want)
	}
	if n.ByHost("old.localhost") != nil || n.ByHost("new.localhost") == nil || n.ByHost("kept.localhost") == nil {
		t.Error("the hosts in the index are not those of the policy")
	}
	apply(t, n, document(t, "banksia", []string{"old.localhost"}))
	if p := n.ByHost("old.localhost"); p == nil || p.ID != "banksia" {
		t.Error("the freed host cannot be used by another practice")
	}
}

func TestHostsMoveWithinOneApplyAll(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"a.localhost"}))
	apply(t, n, document(t, "banksia", []string{"b.localhost"}))
	swap := []directory.Proposal{
		{Document: document(t, "harbour", []string{"b.localhost"}), Base: 1},
		{Document: document(t, "banksia", []string{"a.localhost"}), Base: 1},
	}
	if _, err := n.ApplyAll(t.Context(), swap, operator, false); err != nil {
		t.Fatal(err)
	}
	if a, b := n.ByHost("a.localhost"), n.ByHost("b.localhost"); a.ID != "banksia" || b.ID != "harbour" {
		t.Errorf("got a → %s, b → %s", a.ID, b.ID)
	}
}

func TestApplyAllIsAllOrNothing(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"a.localhost"}))
	for name, second := range map[string]directory.Proposal{
		"host of a practice that keeps it": {Document: document(t, "wattle", []string{"a.localhost"}), Base: directory.Latest},
		"host claimed twice":               {Document: document(t, "wattle", []string{"b.localhost"}), Base: directory.Latest},
		"the same practice twice":          {Document: document(t, "banksia", []string{"c.localhost"}), Base: directory.Latest},
		"conflict":                         {Document: document(t, "harbour", []string{"c.localhost"}), Base: 7},
	} {
		first := directory.Proposal{Document: document(t, "banksia", []string{"b.localhost"})}
		if _, err := n.ApplyAll(t.Context(), []directory.Proposal{first, second}, operator, false); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if len(n.All()) != 1 || n.ByHost("b.localhost") != nil {
			t.Fatalf("%s: something is in force", name)
		}
	}
}

func TestSecondOfTwoAdminsGetsAConflict(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	edit := func(zone string) error {
		_, err := n.ApplyAt(t.Context(), 1, document(t, "harbour", []string{"harbour.localhost"}, "timezone: "+zone), operator, false)
		return err
	}
	if err := edit("Australia/Perth"); err != nil {
		t.Fatal(err)
	}
	err := edit("Australia/Sydney")
	if !errors.Is(err, directory.ErrConflict) || !strings.Contains(err.Error(), "version 1, in force is version 2") {
		t.Errorf("got %v, want a conflict that names both versions", err)
	}
	if got := n.ByID("harbour").Policy.Timezone().String(); got != "Australia/Perth" {
		t.Errorf("the first admin's change was lost: %s", got)
	}
	for name, c := range map[string]struct {
		id   string
		base int64
	}{"create one that exists": {"harbour", 0}, "change one that does not": {"banksia", 1}} {
		_, err := n.ApplyAt(t.Context(), c.base, document(t, c.id, []string{c.id + ".localhost"}, "timezone: Asia/Tokyo"), operator, false)
		if !errors.Is(err, directory.ErrConflict) {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
	}
}

func TestOfManyAdminsAtOnceExactlyOneWins(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	const admins = 8
	errs := make([]error, admins)
	var wg sync.WaitGroup
	for i := range admins {
		doc := document(t, "harbour", []string{"harbour.localhost"}, fmt.Sprintf("session: {idle: %dm}", i+20))
		wg.Go(func() { _, errs[i] = n.ApplyAt(t.Context(), 1, doc, operator, false) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, directory.ErrConflict):
			t.Errorf("got %v, want a conflict", err)
		}
	}
	if won != 1 || n.ByID("harbour").Version != 2 {
		t.Errorf("%d won, version %d", won, n.ByID("harbour").Version)
	}
}

func TestChangeIsAnnouncedAfterItIsInForce(t *testing.T) {
	n := open(t)
	var inForce []int64
	n.feed.Subscribe(func(c bus.Change) {
		version := int64(-1)
		if p := n.ByID(c.Practice); p != nil {
			version = p.Version
		}
		inForce = append(inForce, version)
	})
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	for _, change := range []func() error{
		func() error { return n.Suspend(t.Context(), "harbour", operator) },
		func() error { return n.Resume(t.Context(), "harbour", operator) },
		func() error { return n.Remove(t.Context(), "harbour", operator) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	var kinds []bus.Kind
	for _, c := range n.seen {
		kinds = append(kinds, c.Kind)
		if c.Practice != "harbour" {
			t.Errorf("the change names practice %q", c.Practice)
		}
	}
	practice, policies := bus.KindPractice, bus.KindPolicy
	if diff := cmp.Diff([]bus.Kind{practice, policies, practice, practice, practice}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{1, 2, 2, 2, -1}, inForce); diff != "" {
		t.Errorf("versions in force at the announcement (-want +got):\n%s", diff)
	}
}

func TestAuthorIsRequiredBoundedAndEscaped(t *testing.T) {
	n := open(t)
	doc := document(t, "harbour", []string{"harbour.localhost"})
	for name, c := range map[string]struct {
		by    directory.Author
		field string
	}{
		"nobody":   {directory.Author{Who: " "}, "who"},
		"long who": {directory.Author{Who: strings.Repeat("é", 101)}, "who"},
		"long why": {directory.Author{Who: "operator", Why: strings.Repeat("x", 1001)}, "why"},
	} {
		_, err := n.Apply(t.Context(), doc, c.by, false)
		if got := problemFields(t, err); len(got) != 1 || got[0] != c.field {
			t.Errorf("%s: got %v, want %s", name, got, c.field)
		}
		if err := n.Remove(t.Context(), "harbour", c.by); len(problemFields(t, err)) != 1 {
			t.Errorf("%s: got %v from Remove", name, err)
		}
	}
	by := directory.Author{Who: "op\x1b[31m", Why: "line\nbreak \u202e \u2028 \xff é 漢"}
	if _, err := n.Apply(t.Context(), doc, by, false); err != nil {
		t.Fatal(err)
	}
	history, err := n.History(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := history[0].Who, `op\u{1b}[31m`; got != want {
		t.Errorf("got who %q, want %q", got, want)
	}
	if got, want := history[0].Why, `line\u{a}break \u{202e} \u{2028} \xff é 漢`; got != want {
		t.Errorf("got why %q, want %q", got, want)
	}
}

// feedDown cannot announce anything.
type feedDown struct{}

var errFeed = errors.New("the feed is down")

func (feedDown) PublishTx(context.Context, *database.Tx, bus.Change) (func(), error) {
	return nil, errFeed
}

func TestChangeThatCannotBeAnnouncedIsNotMade(t *testing.T) {
	n := open(t)
	doc := document(t, "harbour", []string{"harbour.localhost"})
	apply(t, n, doc)
	d, err := directory.Open(t.Context(), n.db.Registry(), feedDown{}, defaultPlatform(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := document(t, "harbour", []string{"other.localhost"})
	for name, err := range map[string]error{
		"apply":   second(d.Apply(t.Context(), changed, operator, false)),
		"create":  second(d.Apply(t.Context(), document(t, "banksia", []string{"banksia.localhost"}), operator, false)),
		"suspend": d.Suspend(t.Context(), "harbour", operator),
		"remove":  d.Remove(t.Context(), "harbour", operator),
	} {
		if !errors.Is(err, errFeed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []*directory.Directory{d, n.Directory} {
		if p := dir.ByHost("harbour.localhost"); p == nil || p.Version != 1 || p.Suspended || len(dir.All()) != 1 {
			t.Errorf("got %+v, want it untouched", p)
		}
	}
	if last, err := n.VerifyHistory(t.Context(), "harbour"); err != nil || last.Version != 1 {
		t.Errorf("got %+v, %v", last, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRegistryAwayLeavesTheRunningPolicyAndIsToldFromARefusal(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	p := n.ByID("harbour")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	doc := document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo")
	for name, err := range map[string]error{
		"apply":   second(n.Apply(gone, doc, operator, false)),
		"dry run": second(n.Apply(gone, doc, operator, true)),
		"suspend": n.Suspend(gone, "harbour", operator),
		"reload":  n.Reload(gone, "harbour"),
		"history": second(n.History(gone, "harbour")),
		"verify":  second(n.VerifyHistory(gone, "harbour")),
	} {
		if !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("%s: got %v, want database.ErrUnavailable", name, err)
		}
	}
	if n.ByHost("harbour.localhost") != p {
		t.Error("the running policy did not stay")
	}
}
