package core_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/core"
	"clinicgate/policy"
)

// note writes one event.
func note(t *testing.T, c *core.Core, id policy.PracticeID, action string) {
	t.Helper()
	if err := c.Audit.Append(t.Context(), id, audit.Event{Class: audit.Refusal, Action: action}); err != nil {
		t.Fatal(err)
	}
}

// actions is what a practice's log holds.
func actions(t *testing.T, c *core.Core, id policy.PracticeID) string {
	t.Helper()
	records, err := c.Audit.Tail(t.Context(), id, 100)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range records {
		names = append(names, r.Action)
	}
	return strings.Join(names, " ")
}

// TestHousekeepingRemovesWhatIsPastItsTime, of every practice, and the rest of the log
// stays verifiable. A practice that cannot be read keeps none of the others waiting.
func TestHousekeepingRemovesWhatIsPastItsTime(t *testing.T) {
	const year = 8760 * time.Hour
	practices := []policy.PracticeID{"acacia", "harbour", "wattle"}
	start := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	now := start
	o := options(t, "retention: {audit: 8760h}")
	o.Now = func() time.Time { return now }
	var said bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&said, nil))

	first := open(t, o)
	apply(t, first, "acacia", "harbour", "wattle")
	for _, at := range []struct {
		name string
		time time.Time
	}{{"old", start}, {"new", start.Add(time.Hour)}} {
		now = at.time
		for _, id := range practices {
			note(t, first, id, at.name)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.State, "practices", "harbour.db"), bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}

	c := open(t, o)
	now = start.Add(year + time.Minute)
	if err := c.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []policy.PracticeID{"acacia", "wattle"} {
		if got := " " + actions(t, c, id) + " "; strings.Contains(got, " old ") || !strings.Contains(got, " new ") {
			t.Errorf("%s keeps%s", id, got)
		}
		if report, err := c.Audit.Verify(t.Context(), id, nil); err != nil || !report.Intact {
			t.Errorf("%s: %v, %v", id, report, err)
		}
	}
	if got := said.String(); strings.Count(got, "old records could not be removed") != 1 || !strings.Contains(got, "practice=harbour") {
		t.Errorf("the log says %s", got)
	}
}

// TestRetentionFollowsThePlatformDocument, without a restart.
func TestRetentionFollowsThePlatformDocument(t *testing.T) {
	now := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	o := options(t, "retention: {audit: 17520h}")
	o.Now = func() time.Time { return now }
	c := open(t, o)
	apply(t, c, "acacia")
	note(t, c, "acacia", "old")
	now = now.Add(9000 * time.Hour)
	note(t, c, "acacia", "new")
	for _, step := range []struct {
		platform string
		kept     bool
	}{{"retention: {audit: 17520h}", true}, {"retention: {audit: 8760h}", false}} {
		if err := c.SetPlatform(t.Context(), platform(t, step.platform)); err != nil {
			t.Fatal(err)
		}
		if err := c.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(" "+actions(t, c, "acacia"), " old"); got != step.kept {
			t.Errorf("%s: the old event is kept: %v", step.platform, got)
		}
	}
}

// TestHousekeepingEndsWithTheCore: a round over many practices is left in the middle.
func TestHousekeepingEndsWithTheCore(t *testing.T) {
	c := open(t, options(t, "{}"))
	apply(t, c, "acacia", "harbour", "wattle")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Tidy(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
