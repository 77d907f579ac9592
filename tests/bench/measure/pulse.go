package measure

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Pulse is a load generator that is held between short bursts. Its connections stay open, so a burst costs no
// handshake, and bursts can be much shorter than the whole seconds that the programs themselves offer: many short
// pairs of bursts, one for each side, cancel out a disturbance that few long ones would not.
type Pulse struct {
	load   Load
	cmd    *exec.Cmd
	output bytes.Buffer
	done   chan error
}

// Hold starts the load generator, lets it connect and send for a moment, and holds it. It ends by itself after
// l.Duration of wall time, held or not.
func (l Load) Hold(ctx context.Context) (*Pulse, error) {
	program, args := l.command()
	p := &Pulse{load: l, cmd: exec.CommandContext(ctx, program, args...), done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p, p.Burst(ctx, 300*time.Millisecond)
}

// Burst lets it send for d and holds it again. A request under way is answered meanwhile.
func (p *Pulse) Burst(ctx context.Context, d time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("letting %s go on: %w: %.300s", p.cmd.Path, err, p.output.String())
	}
	pause(ctx, d)
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("holding %s: %w: %.300s", p.cmd.Path, err, p.output.String())
	}
	return ctx.Err()
}

// End lets it run to its end and checks that every answer was the expected one.
func (p *Pulse) End() (Result, error) {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	if err := <-p.done; err != nil {
		return Result{}, fmt.Errorf("running %s: %w: %.300s", p.cmd.Path, err, p.output.String())
	}
	return p.load.read(p.output.String())
}

// Kill ends it at once; after End it does nothing.
func (p *Pulse) Kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // ends a held process too
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
