package hashing

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startNicely starts a process whose threads all are nicer than this one's from the first
// instruction on. On Linux each thread has a priority of its own, and a process begins
// with that of the thread that starts it. So one thread lowers its own, starts the
// process, and ends: it could not raise it again.
func startNicely(command *exec.Cmd) (lowered, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // without Unlock: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The first thread cannot end. While it is held here, a further goroutine gets
			// another one.
			lowered, err = startNicely(command)
			runtime.UnlockOSThread()
			return
		}
		lowered = giveWay()
		err = command.Start()
	}()
	<-done
	return lowered, err
}

// giveWay lowers the priority of this thread.
func giveWay() error {
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 − nice value, getpriority(2)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, min(20-own+nice, 19))
}
