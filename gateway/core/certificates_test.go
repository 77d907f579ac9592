package core_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/certstore"
	"clinicgate/gateway/core"
	"clinicgate/policy"
)

// TestCertificatesThatEndAreSeenAndTold: by metrics at once, in the practice's log once a day, over all nodes.
func TestCertificatesThatEndAreSeenAndTold(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	o := options(t, "{}")
	o.Now = func() time.Time { return now }
	a, b := open(t, o), open(t, o)
	apply(t, a, "acacia", "harbour", "wattle")
	if err := b.Directory.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	host := func(id policy.PracticeID) string { return a.Directory.ByID(id).Policy.Hosts()[0] }
	found := []core.Certificate{
		{Host: host("harbour"), From: now.Add(-84 * day), Until: now.Add(6 * day)},           // was not renewed
		{Host: host("acacia"), From: now.Add(-5 * time.Hour), Until: now.Add(7 * time.Hour)}, // lives for 12 hours
		{Host: host("wattle"), From: now.Add(-91 * day), Until: now.Add(-day)},
		{Host: host("wattle"), From: now.Add(-100 * day), Until: now.Add(-10 * day)}, // of an authority from before
		{Host: "left.clinic.test", From: now.Add(-91 * day), Until: now.Add(-20 * day)},
	}
	if got := figures(t, register(t, a))["clinicgate_certificates"]; got != 0 {
		t.Errorf("%v certificates before the first look", got)
	}
	for range 2 {
		a.SetCertificates(t.Context(), found)
		b.SetCertificates(t.Context(), found)
	}
	got := figures(t, register(t, b))
	for name, want := range map[string]float64{
		"certificates": 3, "certificates_expiring": 1, "certificates_expired": 1, "certificate_expiry_seconds": -day.Seconds(),
	} {
		if got["clinicgate_"+name] != want {
			t.Errorf("%s is %v, want %v", name, got["clinicgate_"+name], want)
		}
	}
	logs := func() map[policy.PracticeID]string {
		return map[policy.PracticeID]string{
			"harbour": actions(t, a, "harbour"), "acacia": actions(t, a, "acacia"), "wattle": actions(t, a, "wattle"),
		}
	}
	want := map[policy.PracticeID]string{"harbour": "certificate_expires", "acacia": "", "wattle": "certificate_expired"}
	if diff := cmp.Diff(want, logs()); diff != "" {
		t.Errorf("the logs (-want +got):\n%s", diff)
	}
	now = now.Add(day)
	b.SetCertificates(t.Context(), found[:1])
	if got := logs()["harbour"]; got != "certificate_expires certificate_expires" {
		t.Errorf("the next day: %s", got)
	}
}

// TestRefusedAndFailedOrdersAreAlarms, and told to the practice whose host it is.
func TestRefusedAndFailedOrdersAreAlarms(t *testing.T) {
	c := open(t, options(t, "{}"))
	apply(t, c, "acacia", "harbour")
	host := c.Directory.ByID("harbour").Policy.Hosts()[0]
	for range certstore.OrdersPractice {
		if err := c.OrderCertificate(t.Context(), host); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := c.OrderCertificate(t.Context(), host); !errors.Is(err, certstore.ErrTooMany) {
			t.Errorf("one order more: %v", err)
		}
		c.CertificateFailed(t.Context(), host, true)
		c.CertificateFailed(t.Context(), "stranger.test", false)
	}
	if err := c.OrderCertificate(t.Context(), c.Directory.ByID("acacia").Policy.Hosts()[0]); err != nil {
		t.Errorf("another practice's order: %v", err)
	}
	got := figures(t, register(t, c))
	for name, want := range map[string]float64{"certificate_orders_refused_total": 3, "certificate_orders_failed_total": 6} {
		if got["clinicgate_"+name] != want {
			t.Errorf("%s is %v, want %v", name, got["clinicgate_"+name], want)
		}
	}
	if got := strings.Fields(actions(t, c, "harbour")); !cmp.Equal(got, []string{"certificate_order_refused", "certificate_renewal_failed"}) {
		t.Errorf("the practice's log has %v", got)
	}
	if got := actions(t, c, "acacia"); got != "" {
		t.Errorf("another practice's log has %s", got)
	}
}

// TestOrderThatCannotBeCountedIsNotMade.
func TestOrderThatCannotBeCountedIsNotMade(t *testing.T) {
	c := open(t, options(t, "{}"))
	apply(t, c, "harbour")
	host := c.Directory.ByID("harbour").Policy.Hosts()[0]
	if err := c.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.OrderCertificate(t.Context(), host); err == nil {
		t.Error("an order without a registry")
	}
	if got := figures(t, register(t, c))["clinicgate_certificate_orders_refused_total"]; got != 1 {
		t.Errorf("%v refused orders, want 1", got)
	}
}
