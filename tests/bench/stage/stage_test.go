package stage_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"clinicgate/tests/bench/stage"
)

// TestMain lets this test program be the Go backend, as the benchmark's own program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "backend" {
		_ = stage.ServeBackend(os.Args[2])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func open(t *testing.T) *stage.Stage {
	t.Helper()
	s, err := stage.New("/nonexistent/gateway")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestBackendCountsEveryRequestButTheQuestion(t *testing.T) {
	for _, kind := range []string{"go", "nginx"} {
		t.Run(kind, func(t *testing.T) {
			if kind == "go" {
				t.Setenv("PATH", t.TempDir()) // no nginx there
			}
			b, err := open(t).StartBackend(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b.Kind != kind {
				t.Logf("nginx is not installed: the Go backend stands in")
			}
			before, err := b.Settled(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				answer, err := http.Get("http://" + b.Addr + "/")
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
			}
			after, err := b.Settled(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if after-before != 3 {
				t.Errorf("got %d requests, want 3", after-before)
			}
		})
	}
}

func TestCloseEndsEveryProcessAndLeavesNothingBehind(t *testing.T) {
	s := open(t)
	t.Setenv("PATH", t.TempDir())
	b, err := s.StartBackend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b.Running() {
		t.Error("the backend still runs")
	}
	if err := syscall.Kill(b.PID(), 0); err != syscall.ESRCH {
		t.Errorf("process %d: got %v, want no such process", b.PID(), err)
	}
	if conn, err := net.Dial("tcp", b.Addr); err == nil {
		_ = conn.Close()
		t.Error("its port still accepts")
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("the scratch folder: got %v, want none", err)
	}
}

func TestServerThatEndsAtOnceIsAnErrorThatQuotesIt(t *testing.T) {
	s := open(t)
	script := filepath.Join(s.Dir, "broken")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho the reason\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := s.Start(t.Context(), "broken", "127.0.0.1:1", script)
	if err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("got %v", err)
	}
}

func TestMissingGatewayIsAnError(t *testing.T) {
	if _, err := open(t).StartBare(t.Context(), "bare", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "bare") {
		t.Errorf("got %v", err)
	}
}

func TestAnswerThatIsNotTheBackendsIsToldApart(t *testing.T) {
	s := open(t)
	b, err := s.StartBackend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The backend speaks no TLS: whatever a front answers instead of the backend's text must be an error.
	if err := b.Answers(t.Context(), nil); err == nil {
		t.Error("got no error")
	}
}
