package hashing

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"time"
)

// What tests look at from inside.
var (
	DefaultHashes = defaultHashes
	ErrStranger   = errStranger
	ErrHung       = errHung
	Answer        = answer
	ReadRequest   = readRequest
)

const (
	Argument = argument
	Nice     = nice
	MostRest = mostRest
)

// Fake starts the next worker of a test, which reads jobs from in and writes replies to
// out. It must end when either is closed.
type Fake func(in io.Reader, out io.Writer) error

// Honest works as a worker does.
func Honest(in io.Reader, out io.Writer) error {
	for {
		if err := answer(in, out); err != nil {
			return err
		}
	}
}

// NewFake is a Pool with one place whose workers come from start.
func NewFake(patience time.Duration, start func() (Fake, error)) *Pool {
	return newPool(1, 0, func() (runner, error) {
		fake, err := start()
		if err != nil {
			return nil, err
		}
		jobs, in, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		out, replies, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		ended := make(chan struct{})
		go func() {
			_ = fake(jobs, replies)
			_ = jobs.Close()
			_ = replies.Close()
			close(ended)
		}()
		return &worker{in: in, out: out, kill: func() {}, ended: ended, patience: patience}, nil
	})
}

// LogTo makes a pool's alarms readable.
func (p *Pool) LogTo(log *slog.Logger) { p.log = func() *slog.Logger { return log } }

// Kill kills all workers, as the system does when memory is short, and returns when they
// are gone.
func (p *Pool) Kill() {
	for range cap(p.free) {
		s := <-p.free
		if w, ok := s.now.(*worker); ok {
			w.kill()
			<-w.ended
		}
		p.free <- s
	}
}

// Resting is how many places nobody may use for a moment.
func (p *Pool) Resting() int64 { return p.resting.Load() }

// Rest is how long a place is left alone after so many failures in a row.
func Rest(failures int) time.Duration { return (&place{failures: failures}).rest() }

// Frame is a request as it goes over the pipe.
func Frame(job Job) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, order, &request{ID: identity{1}, Job: job})
	return b.Bytes()
}

// Reply is a reply as it goes over the pipe, to the request whose bytes are given.
func Reply(asked []byte, tag Tag) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, order, &reply{ID: identity(asked[:len(identity{})]), Tag: tag})
	return b.Bytes()
}

// ForgetMain makes this program one that has not called Main.
func ForgetMain() (undo func()) {
	before := canWork.Swap(false)
	return func() { canWork.Store(before) }
}
