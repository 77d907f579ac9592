package probe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"clinicgate/tests/harness"
)

// Workers are the processes that hash passwords for a gateway.
func Workers(t testing.TB, g *harness.Gateway) (pids []int) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(processes) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	for _, process := range processes {
		fields := stat(process)
		words, _ := os.ReadFile(filepath.Join(process, "cmdline")) // of a zombie: nothing
		if len(fields) > 1 && fields[1] == strconv.Itoa(g.PID()) && bytes.HasSuffix(words, []byte("\x00password-worker\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(process))
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat is proc_pid_stat(5) of a process or thread from its third field on, the state;
// nothing when it is gone.
func stat(folder string) []string {
	text, _ := os.ReadFile(filepath.Join(folder, "stat"))
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// Freeze stops processes and returns when none of their threads runs any more.
func Freeze(t testing.TB, pids []int) {
	t.Helper()
	Signal(pids, unix.SIGSTOP)
	Eventually(t, 20*time.Second, "the processes stand still", func() bool {
		for _, pid := range pids {
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
			for _, thread := range threads {
				if fields := stat(thread); len(fields) > 0 && fields[0] != "T" {
					return false
				}
			}
		}
		return true
	})
}

// Signal sends a signal to processes, which may be gone.
func Signal(pids []int, signal unix.Signal) {
	for _, pid := range pids {
		_ = unix.Kill(pid, signal)
	}
}

// Asked reports whether one of these workers has been given a job that it has not begun.
func Asked(t testing.TB, pids []int) bool {
	t.Helper()
	for _, pid := range pids {
		jobs, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "fd/0"))
		if err != nil {
			t.Fatalf("a worker's jobs: %v", err)
		}
		n, err := unix.IoctlGetInt(int(jobs.Fd()), unix.TIOCINQ) // also called FIONREAD
		_ = jobs.Close()
		if err != nil {
			t.Fatalf("a worker's jobs: %v", err)
		}
		if n > 0 {
			return true
		}
	}
	return false
}
