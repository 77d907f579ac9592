package hashing

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const (
	// patience is how long a worker may take for a job; it may have to start first, and to
	// wait for a processor. A hash takes about 30 ms.
	patience = 10 * time.Second
	// burial is how long the end of a worker is waited for.
	burial = time.Second
	// nice is by how much a worker's priority is below the gateway's (its nice value above).
	// A processor that signed-in people need is theirs at once, and of one that they need
	// all the time the worker still gets a tenth. With 19, the most there is, it would be a
	// seventieth, and on a busy day nobody could sign in.
	nice = 10
)

var errHung = errors.New("a worker did not answer in time")

// worker is a worker process, seen from the gateway.
type worker struct {
	in       io.WriteCloser // its jobs
	out      io.ReadCloser  // its replies
	kill     func()
	ended    <-chan struct{} // closed when it is gone, and is no zombie
	patience time.Duration
}

// startWorker starts this program once more. lowered says why its priority is not lower;
// that is no failure.
func startWorker() (w *worker, lowered, err error) {
	jobs, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	out, replies, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, jobs.Close(), in.Close())
	}
	// No environment but what Caddy asks for when the program begins, no folder, and no
	// file but these three: there is nothing to be had from a worker.
	command := &exec.Cmd{Path: program(), Args: []string{os.Args[0], argument}, Env: []string{"HOME=/"}, Dir: "/",
		Stdin: jobs, Stdout: replies, Stderr: os.Stderr}
	lowered, err = startNicely(command)
	err = errors.Join(err, jobs.Close(), replies.Close())
	if err != nil {
		return nil, nil, errors.Join(err, in.Close(), out.Close())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // whoever asks it something next notices
	}()
	return &worker{in: in, out: out, kill: func() { _ = command.Process.Kill() }, ended: ended, patience: patience}, lowered, nil
}

// program is this very program, also after another one was put in its place on the disk.
func program() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	path, _ := os.Executable() // without a path starting fails, and says so
	return path
}

// run computes a job. After an error the worker must be ended.
func (w *worker) run(job *Job) (Tag, error) {
	hung := time.AfterFunc(w.patience, func() { _ = w.out.Close() })
	tag, err := exchange(w.in, w.out, job)
	if !hung.Stop() {
		return Tag{}, errHung
	}
	return tag, err
}

// end kills the worker: between two jobs it has nothing to finish, and after a failure it
// is not to be believed.
func (w *worker) end() {
	w.kill()
	_ = w.in.Close()
	_ = w.out.Close()
	late := time.NewTimer(burial)
	defer late.Stop()
	select {
	case <-w.ended:
	case <-late.C:
	}
}
