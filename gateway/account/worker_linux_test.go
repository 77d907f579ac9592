package account_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"clinicgate/gateway/account"
	"clinicgate/gateway/hashing"
)

// killWorkers kills the processes that hash for this one and returns when they are gone.
func killWorkers(t *testing.T) {
	t.Helper()
	waitFor(t, func() bool {
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil || len(stats) == 0 {
			t.Fatalf("no processes: %v", err)
		}
		gone := true
		for _, file := range stats {
			text, _ := os.ReadFile(file)
			fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
			if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				_ = syscall.Kill(pid, syscall.SIGKILL)
				gone = false
			}
		}
		return gone
	})
}

// THREATS L1: with worker processes too, every refusal is the one same answer after the
// same work, also when the workers have just died: each costs one more worker, nobody is
// told that the password is wrong who has the right one, and nobody is let in.
func TestRefusalsDoTheSameWorkWhenWorkersDie(t *testing.T) {
	k := newKit(t)
	tries := k.cases()
	hashes := hashing.New(func() *slog.Logger { return slog.New(slog.DiscardHandler) })
	defer hashes.Close()
	hashes.Warm()
	k.Service = k.again(func(o *account.Options) { o.Hashes = hashes })
	died := func(name string, try func() error, want error) {
		killWorkers(t)
		before := hashes.Failures()
		if err := try(); err != want {
			t.Errorf("%s: got %v, want exactly %v", name, err, want)
		}
		if n := hashes.Failures() - before; n != 1 {
			t.Errorf("%s: %d workers were found dead, want 1", name, n)
		}
		hashes.Warm()
	}
	for name, try := range tries {
		died(name, try, account.ErrRefused)
	}
	died("right password", func() error { _, err := k.check("known@harbour.test", goodPass); return err }, nil)
}
