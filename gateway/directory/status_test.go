package directory_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

func TestSuspendedPracticeStaysSuspendedUntilResumed(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	if err := n.Suspend(t.Context(), "harbour", directory.Author{Who: "operator", Why: "unpaid"}); err != nil {
		t.Fatal(err)
	}
	if p := n.ByHost("harbour.localhost"); p == nil || !p.Suspended || p.Version != 1 {
		t.Fatalf("got %+v, want it suspended", p)
	}
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}, "timezone: Asia/Tokyo"))
	if p := n.ByHost("harbour.localhost"); !p.Suspended || p.Version != 2 {
		t.Error("a new policy resumed the practice")
	}
	if err := n.Resume(t.Context(), "harbour", operator); err != nil || n.ByID("harbour").Suspended {
		t.Errorf("the practice is still suspended: %v", err)
	}
}

func TestSuspendingTwiceIsAnnouncedOnce(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	n.seen = nil
	for range 2 {
		if err := n.Suspend(t.Context(), "harbour", operator); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.seen) != 1 {
		t.Errorf("got %d announcements, want 1", len(n.seen))
	}
}

func TestStatusSaysWhoChangedThePracticeLast(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	by := directory.Author{Who: "operator", Why: "unpaid"}
	if err := n.Suspend(t.Context(), "harbour", by); err != nil {
		t.Fatal(err)
	}
	got, err := n.Status(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	want := directory.Status{Practice: "harbour", Generation: 1, Version: 1, Suspended: true, Created: start, Changed: start, By: by}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRemovedPracticeFreesItsHostsAndKeepsItsHistory(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	if err := n.Remove(t.Context(), "harbour", operator); err != nil {
		t.Fatal(err)
	}
	if n.ByID("harbour") != nil || n.ByHost("harbour.localhost") != nil || len(n.All()) != 0 {
		t.Error("the removed practice is served")
	}
	if history, err := n.History(t.Context(), "harbour"); err != nil || len(history) != 1 {
		t.Errorf("got history %v, %v", history, err)
	}
	if status, err := n.Status(t.Context(), "harbour"); err != nil || !status.Removed.Equal(start) {
		t.Errorf("got status %+v, %v", status, err)
	}
	apply(t, n, document(t, "banksia", []string{"harbour.localhost"}))
	if p := n.ByHost("harbour.localhost"); p == nil || p.ID != "banksia" {
		t.Error("the host was not freed")
	}
}

// THREATS T5: whatever was issued under the first generation can tell that this is another one.
func TestIdUsedAgainIsANewGeneration(t *testing.T) {
	n := open(t)
	doc := document(t, "harbour", []string{"harbour.localhost"})
	apply(t, n, doc)
	for _, change := range []func() error{
		func() error { return n.Suspend(t.Context(), "harbour", operator) },
		func() error { return n.Remove(t.Context(), "harbour", operator) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	result := apply(t, n, doc)
	if !result.Created || result.Version != 2 || !strings.Contains(result.Diff, "+ practice: harbour") {
		t.Errorf("got %+v", result)
	}
	if p := n.ByHost("harbour.localhost"); p == nil || p.Generation != 2 || p.Version != 2 || p.Suspended {
		t.Errorf("got %+v, want generation 2, not suspended", p)
	}
	if last, err := n.VerifyHistory(t.Context(), "harbour"); err != nil || last.Generation != 2 {
		t.Errorf("got %+v, %v", last, err)
	}
}

func TestUnknownAndRemovedPracticesCannotBeChanged(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "gone", []string{"gone.localhost"}))
	if err := n.Remove(t.Context(), "gone", operator); err != nil {
		t.Fatal(err)
	}
	for _, id := range []policy.PracticeID{"gone", "never", "", "../x"} {
		for name, err := range map[string]error{
			"suspend": n.Suspend(t.Context(), id, operator),
			"resume":  n.Resume(t.Context(), id, operator),
			"remove":  n.Remove(t.Context(), id, operator),
		} {
			if !errors.Is(err, directory.ErrUnknown) || !strings.Contains(err.Error(), string(id)) {
				t.Errorf("%s %s: got %v, want ErrUnknown", name, id, err)
			}
		}
	}
	if _, err := n.Status(t.Context(), "never"); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
