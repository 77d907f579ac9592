package core_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"clinicgate/gateway/core"
)

// figures gathers what one config's registry shows, by name and labels.
func figures(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "clinicgate_") || family.GetHelp() == "" {
			t.Errorf("the figure %s has the wrong prefix or no help: %q", family.GetName(), family.GetHelp())
		}
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func register(t *testing.T, c *core.Core) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := c.Metrics.Register(registry); err != nil {
		t.Fatal(err)
	}
	return registry
}

// TestFiguresSurviveAReload: every config has a registry of its own, and the counts go
// on where they were.
func TestFiguresSurviveAReload(t *testing.T) {
	c := open(t, options(t, "{}"))
	before := register(t, c)
	c.Metrics.Refused("denied")
	after := register(t, c)
	c.Metrics.Refused("denied")
	for name, registry := range map[string]*prometheus.Registry{"before": before, "after": after} {
		if got := figures(t, registry)["clinicgate_refusals_total reason=denied"]; got != 2 {
			t.Errorf("%s: %v refusals, want 2", name, got)
		}
	}
	if err := c.Metrics.Register(after); err != nil {
		t.Errorf("registering again: %v", err)
	}
	if got := figures(t, after)["clinicgate_refusals_total reason=denied"]; got != 2 {
		t.Errorf("registered again: %v refusals, want 2", got)
	}
	if err := open(t, options(t, "{}")).Metrics.Register(after); err != nil {
		t.Errorf("registering another core: %v", err)
	}
	if got, there := figures(t, after)["clinicgate_refusals_total reason=denied"]; there {
		t.Errorf("another core shows %v refusals of the first", got)
	}
}

// TestFiguresSayWhatIs: health and alarms are made of these.
func TestFiguresSayWhatIs(t *testing.T) {
	o, now := options(t, "{}"), time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	c := open(t, o)
	registry := register(t, c)
	now = now.Add(time.Minute) // in which nobody reads the feed: this core is a tool's
	if got := figures(t, registry)["clinicgate_feed_age_seconds"]; got < 60 {
		t.Errorf("a feed that was not read for a minute is %v s old", got)
	}
	apply(t, c, "acacia", "harbour")
	if err := c.SetPlatform(t.Context(), platform(t, "floor: {second_factor: enforced}")); err != nil {
		t.Fatal(err)
	}
	got := figures(t, registry)
	for name, want := range map[string]float64{
		"clinicgate_practices": 2, "clinicgate_broken_practices": 1, "clinicgate_open_streams": 0,
		"clinicgate_undecided_requests_total": 0, "clinicgate_session_mismatches_total": 0, "clinicgate_audit_damaged_total": 0,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
}

// TestFiguresNameNoPractice: their number does not grow with practices or people, and
// they tell nobody who the practices are.
func TestFiguresNameNoPractice(t *testing.T) {
	c := open(t, options(t, "{}"))
	registry := register(t, c)
	before := len(figures(t, registry))
	apply(t, c, "acacia", "harbour", "wattle")
	after := figures(t, registry)
	if len(after) != before {
		t.Errorf("%d figures without practices, %d with three", before, len(after))
	}
	for name := range after {
		if strings.Contains(name, "harbour") {
			t.Errorf("names a practice: %s", name)
		}
	}
}
