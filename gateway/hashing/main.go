package hashing

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
)

// argument makes a process of this program a worker.
const argument = "password-worker"

// canWork says that this program becomes a worker when it is started with argument. A
// program that has not called Main would do whatever else it does: the binary of a test
// would run its tests once more, and they would start workers.
var canWork atomic.Bool

// Main is called first by a program that has a Pool. In a process that was started as a
// worker it does a worker's work and ends the process; in every other it returns.
func Main() {
	if len(os.Args) == 2 && os.Args[1] == argument {
		os.Exit(work(os.Stdin, os.Stdout, os.Stderr))
	}
	canWork.Store(true)
}

// work is a worker's whole life. It ends with its standard input, which ends with the
// gateway, however that ends. Until then the signals that a terminal and systemd send to
// every process are not for it: sign-ins that have begun are finished.
func work(in *os.File, out, errs io.Writer) (code int) {
	if info, err := in.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		fmt.Fprintln(errs, "gateway "+argument+" is for the gateway alone, which starts it to hash passwords. There is nothing to do with it by hand.")
		return 2
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	// One hash is all the garbage that there is. Collected after each, while nobody waits,
	// it is never there twice.
	debug.SetGCPercent(-1)
	for {
		err := answer(in, out)
		if err == io.EOF {
			return 0
		}
		if err != nil {
			fmt.Fprintln(errs, "gateway "+argument+":", err)
			return 1
		}
		runtime.GC()
	}
}
