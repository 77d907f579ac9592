package hashing_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"clinicgate/gateway/hashing"
)

// children are the processes that this one has started, zombies too.
func children(t *testing.T) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	for _, file := range stats {
		if fields := stat(file); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat is proc_pid_stat(5) from the third field on; nil for a process that is gone.
func stat(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

// A worker has nothing that is worth taking it over for, and gives way to the gateway
// with every one of its threads.
func TestWorkerHasNothingAndGivesWay(t *testing.T) {
	p, told := workers(t)
	right(t, p, job(1))
	pids := children(t)
	if len(pids) != hashing.DefaultHashes() {
		t.Fatalf("%d workers, want %d", len(pids), hashing.DefaultHashes())
	}
	const niceField = 16 // of what stat returns
	own, _ := strconv.Atoi(stat("/proc/self/stat")[niceField])
	lower := strconv.Itoa(min(own+hashing.Nice, 19))
	for _, pid := range pids {
		proc := fmt.Sprintf("/proc/%d/", pid)
		if environment, err := os.ReadFile(proc + "environ"); err != nil || string(environment) != "HOME=/\x00" {
			t.Errorf("the environment has %d bytes, want HOME=/ and nothing else: %v", len(environment), err)
		}
		if folder, err := os.Readlink(proc + "cwd"); err != nil || folder != "/" {
			t.Errorf("the working folder is %s, %v", folder, err)
		}
		threads, _ := filepath.Glob(proc + "task/*/stat")
		for _, thread := range threads {
			if fields := stat(thread); fields != nil && fields[niceField] != lower {
				t.Errorf("a thread has the nice value %s, want %s", fields[niceField], lower)
			}
		}
		if len(threads) == 0 {
			t.Error("no threads")
		}
	}
	waitFor(t, func() bool { // threads that lowered their priority for others have ended
		threads, _ := filepath.Glob("/proc/self/task/*/stat")
		return !slices.ContainsFunc(threads, func(thread string) bool {
			fields := stat(thread)
			return fields != nil && fields[niceField] == lower
		})
	})
	if told.Len() > 0 {
		t.Errorf("log: %s", told)
	}
	p.Close()
	if left := children(t); len(left) > 0 {
		t.Errorf("%d processes are left after Close", len(left))
	}
}

// Ctrl-C and systemd reach every process: sign-ins that have begun are finished all the same.
func TestSignalsForAllProcessesAreNotForWorkers(t *testing.T) {
	p, _ := workers(t)
	for range hashing.DefaultHashes() {
		right(t, p, job(1)) // places take turns: now every worker has begun its work
	}
	before := children(t)
	for _, pid := range before {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
			if err := syscall.Kill(pid, signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	right(t, p, job(2))
	if after := children(t); p.Failures() != 0 || !slices.Equal(before, after) {
		t.Errorf("%d failures, workers before %v and after %v", p.Failures(), before, after)
	}
}

// A worker that dies with nobody looking leaves no zombie.
func TestDeadWorkerIsBuried(t *testing.T) {
	p, _ := workers(t)
	for _, pid := range children(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return len(children(t)) == 0 })
	right(t, p, job(1))
}
