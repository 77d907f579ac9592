package command_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/command"
)

func TestBarAppearsOnlyWhenWorkTakesOver2Seconds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	at, end := command.Progress(&out, func() time.Time { return now })
	for done := range int64(100) {
		at(done, 1000)
		now = now.Add(19 * time.Millisecond)
	}
	if out.Len() > 0 {
		t.Fatalf("after 1.9 s: %q", out.String())
	}
	now = now.Add(time.Second)
	at(500, 1000)
	if !strings.Contains(out.String(), "Working") || !strings.Contains(out.String(), "50%") {
		t.Errorf("after 2.9 s: %q", out.String())
	}
	end()
}

// It is piped in every other test, where no bar may appear.
func TestNothingTotalIsNoBar(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at, end := command.Progress(&out, func() time.Time { now = now.Add(time.Minute); return now })
	at(0, 0)
	end()
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}

func FuzzCases(f *testing.F) {
	for _, seed := range []string{"- {path: /, roles: [clinician]}", "[]", "- {proved_ago: 5m}", "- &a {path: /}\n- *a", "\x00", "- {pth: 1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := command.DecodeCases(data); err == nil && n == 0 {
			t.Error("no cases, and no error")
		}
	})
}
