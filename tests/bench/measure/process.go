// Package measure reads what a benchmark needs: the CPU time and memory of a process, the counts of the load
// generators wrk and h2load, and the statistics over rounds. Linux only, as the load generators are Debian's.
package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// CPU is the CPU time, user and system, that a process has used so far, threads that have ended included, in
// nanoseconds. It reads the process's CPU clock (clock_getcpuclockid(3)); /proc/PID/stat counts in 10 ms and
// /proc/PID/schedstat covers the first thread only.
func CPU(pid int) (time.Duration, error) {
	const perProcessScheduled = 2 // CPUCLOCK_SCHED of <linux/posix-timers.h>
	clock := uintptr(^pid<<3 | perProcessScheduled)
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}

// GiveWay lowers the priority of this program's threads by ten, and with it that of whatever they start from now on.
func GiveWay() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = syscall.Setpriority(syscall.PRIO_PROCESS, id, 10)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) { // a thread may end meanwhile
			return fmt.Errorf("lowering the priority of thread %s: %w", thread.Name(), err)
		}
	}
	return nil
}

// TreeCPU is the CPU time of a process and of all its living descendants, for servers that work in children.
func TreeCPU(pid int) (time.Duration, error) {
	sum, err := CPU(pid)
	if err != nil {
		return 0, err
	}
	children, err := childrenOf(pid)
	if err != nil {
		return 0, err
	}
	for _, child := range children {
		if t, err := TreeCPU(child); err == nil { // a child may end meanwhile
			sum += t
		}
	}
	return sum, nil
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var list []int
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		// pid (name) state ppid …; the name may hold anything, its closing parenthesis is the last one
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			list = append(list, id)
		}
	}
	return list, nil
}

// Memory is a process's resident memory in bytes, now and at its highest.
type Memory struct {
	Now, Peak int64
}

// ReadMemory reads it from /proc/PID/status.
func ReadMemory(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("reading memory of process %d: %w", pid, err)
	}
	var m Memory
	for line := range strings.SplitSeq(string(text), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			m.Now = kilobytes << 10
		case "VmHWM":
			m.Peak = kilobytes << 10
		}
	}
	if m.Now == 0 || m.Peak == 0 {
		return Memory{}, fmt.Errorf("reading memory of process %d: no VmRSS or VmHWM", pid)
	}
	return m, nil
}

// ChildrenMemory is the memory of all descendants of a process together. Pages that they share with it, such as those
// of the program itself, count once for each; and their peaks need not have been at the same time. So the sum is the most
// that it can have been.
func ChildrenMemory(pid int) (sum Memory, err error) {
	children, err := childrenOf(pid)
	if err != nil {
		return Memory{}, err
	}
	for _, child := range children {
		own, err := ReadMemory(child)
		if err != nil {
			continue // it has ended meanwhile
		}
		further, err := ChildrenMemory(child)
		if err != nil {
			return Memory{}, err
		}
		sum.Now += own.Now + further.Now
		sum.Peak += own.Peak + further.Peak
	}
	return sum, nil
}

// ResetPeak makes the highest resident memory of a process and its descendants begin anew (proc(5), clear_refs).
func ResetPeak(pid int) error {
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := ResetPeak(child); err != nil {
			return err
		}
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("resetting the memory peak of process %d: %w", pid, err)
	}
	return nil
}
