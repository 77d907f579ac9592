package certstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"clinicgate/gateway/certstore"
	"clinicgate/policy"
)

// TestOnePracticeCannotUseUpTheOrdersOfAll, whichever node it comes to, and the time gives them back.
func TestOnePracticeCannotUseUpTheOrdersOfAll(t *testing.T) {
	i := install(t)
	nodes := []*node{i.start(t, quick, 0), i.start(t, quick, 2*time.Minute)}
	order := func(k int, practice policy.PracticeID) error { return nodes[k%2].Order(t.Context(), practice) }
	for k := range certstore.OrdersPractice {
		if err := order(k, "north"); err != nil {
			t.Fatalf("order %d: %v", k, err)
		}
	}
	for k := range 50 {
		if err := order(k, "north"); !errors.Is(err, certstore.ErrTooMany) {
			t.Fatalf("one more order: %v", err)
		}
	}
	for k := range certstore.OrdersAltogether - certstore.OrdersPractice {
		if err := order(k, policy.PracticeID(fmt.Sprintf("p%d", k))); err != nil {
			t.Fatalf("order %d of the others: %v", k, err)
		}
	}
	if err := order(0, "south"); !errors.Is(err, certstore.ErrTooMany) {
		t.Errorf("an order above what the authority allows: %v", err)
	}
	later := i.start(t, quick, certstore.OrderWindow+3*time.Minute)
	if err := later.Order(t.Context(), "north"); err != nil {
		t.Errorf("after %s: %v", certstore.OrderWindow, err)
	}
}

// TestOneWarningADay over all nodes, one for each host and kind.
func TestOneWarningADay(t *testing.T) {
	i := install(t)
	a, b, tomorrow := i.start(t, quick, 0), i.start(t, quick, 0), i.start(t, quick, 24*time.Hour)
	told := func(n *node, host, kind string) bool {
		t.Helper()
		first, err := n.FirstToday(t.Context(), host, kind)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	for _, c := range []struct {
		n          *node
		host, kind string
		want       bool
	}{
		{a, "a.test", "expires", true}, {b, "a.test", "expires", false}, {b, "a.test", "failed", true}, {b, "b.test", "expires", true},
		{tomorrow, "a.test", "expires", true}, {a, "a.test", "expires", false},
	} {
		if got := told(c.n, c.host, c.kind); got != c.want {
			t.Errorf("%s, %s: %v, want %v", c.host, c.kind, got, c.want)
		}
	}
	if err := a.NotToday(t.Context(), "b.test", "expires"); err != nil {
		t.Fatal(err)
	}
	if !told(a, "b.test", "expires") {
		t.Error("a warning that could not be written is not tried again")
	}
}
