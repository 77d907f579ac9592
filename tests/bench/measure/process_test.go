package measure_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"clinicgate/tests/bench/measure"
)

// burn uses CPU until this process has used d more of it.
func burn(t *testing.T, d time.Duration) {
	t.Helper()
	for start := rusage(t); rusage(t)-start < d; {
	}
}

// rusage is the kernel's other count of the same.
func rusage(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestCPUAgreesWithTheKernelsOwnAccount(t *testing.T) {
	lower := rusage(t)
	burn(t, 50*time.Millisecond)
	got, err := measure.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	upper := rusage(t)
	// rusage is brought up to date at the latest every clock tick of every thread
	if slack := 100 * time.Millisecond; got < lower-slack || got > upper+slack {
		t.Errorf("got %v, want from %v to %v", got, lower, upper)
	}
}

func TestTreeCPUIncludesChildren(t *testing.T) {
	shell := exec.Command("sh", "-c", `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read x'; :`)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = shell.Wait() }()
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	own, err := measure.CPU(shell.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := measure.TreeCPU(shell.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if tree < own+10*time.Millisecond {
		t.Errorf("tree %v, parent alone %v: the child's loop is not in it", tree, own)
	}
}

func TestProcessThatIsNotThereIsAnError(t *testing.T) {
	const nobody = 1<<22 - 3 // above the largest process id that is given out
	if _, err := measure.CPU(nobody); err == nil {
		t.Error("CPU: got no error")
	}
	if _, err := measure.TreeCPU(nobody); err == nil {
		t.Error("TreeCPU: got no error")
	}
	if _, err := measure.ReadMemory(nobody); err == nil {
		t.Error("ReadMemory: got no error")
	}
	if err := measure.ResetPeak(nobody); err == nil {
		t.Error("ResetPeak: got no error")
	}
}

func TestMemoryPeakCanBeginAnew(t *testing.T) {
	pages, err := syscall.Mmap(-1, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pages); i += 4096 {
		pages[i] = 1
	}
	high, err := measure.ReadMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Munmap(pages); err != nil {
		t.Fatal(err)
	}
	if err := measure.ResetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	low, err := measure.ReadMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if high.Peak < 64<<20 || low.Peak > high.Peak-32<<20 || low.Now > low.Peak {
		t.Errorf("with 64 MiB more: %+v, afterwards: %+v", high, low)
	}
}
