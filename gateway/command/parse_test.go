package command_test

import (
	"testing"
	"time"

	"clinicgate/gateway/command"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	for s, want := range map[string]time.Time{
		"2026-01-31":                time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"2026-01-31 08:30":          time.Date(2026, 1, 31, 8, 30, 0, 0, time.UTC),
		"2026-01-31T08:30:00+10:00": time.Date(2026, 1, 30, 22, 30, 0, 0, time.UTC),
		"90m":                       noon.Add(-90 * time.Minute),
		"1d":                        noon.Add(-24 * time.Hour),
		"":                          {},
	} {
		if got, err := command.Instant(s, noon); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v (%v), want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"yesterday", "-1h", "-1d", "2026-02-30", "1e9d", "99999999999d", "0x10", "2026-01-31T25:00:00Z"} {
		if got, err := command.Instant(s, noon); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func FuzzInstant(f *testing.F) {
	for _, seed := range []string{"7d", "24h", "2026-01-31", "2026-01-31 08:30", "2026-01-31T08:30:00Z", "-1h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := command.Instant(s, noon)
		if err != nil && !got.IsZero() {
			t.Errorf("%q is refused and read as %v", s, got)
		}
	})
}

// Whatever answers on the socket, only a gateway that reads its registry is healthy.
func FuzzFigures(f *testing.F) {
	for _, seed := range []string{"clinicgate_feed_age_seconds 0.1\n", "clinicgate_feed_age_seconds NaN\n", "clinicgate_feed_age_seconds -Inf", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if command.Judge(s) == nil && len(s) < len("clinicgate_feed_age_seconds 0") {
			t.Errorf("%q is healthy", s)
		}
	})
}
