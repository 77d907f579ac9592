// Package stage sets up what a benchmark runs against: a backend, the gateway, bare Caddy and the peers, each a
// process of its own on the loopback interface, and takes all of it down again by the process ids it started.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Process is a server that was started.
type Process struct {
	Name string
	Addr string // host:port it serves on

	stage *Stage
	log   string
	cmd   *exec.Cmd
	done  chan struct{}
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// starts hands commands to the one thread that starts them. The kernel sends a child its parent-death signal
// when the starting thread ends, so that thread must live as long as this program.
var starts = func() chan func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
}()

// Start runs a server until Stop, Close or the end of this program, whatever comes first, even by SIGKILL. It waits
// until addr accepts connections. Its output goes to a log in the stage's folder, which an error quotes.
func (s *Stage) Start(ctx context.Context, name, addr string, program string, args ...string) (*Process, error) {
	p := &Process{Name: name, Addr: addr, stage: s, log: filepath.Join(s.Dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.Dir, log, log
	p.cmd.Env = s.environment()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit status of a server that was told to end says nothing
		close(p.done)
	}()
	s.running = append(s.running, p)
	if err := p.waitReady(ctx); err != nil {
		_ = p.Stop()
		return nil, fmt.Errorf("starting %s: %w: %s", name, err, p.LogTail())
	}
	return p, nil
}

// waitReady waits until the address accepts, at most 60 s.
func (p *Process) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var dialer net.Dialer
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for {
		if conn, err := dialer.DialContext(ctx, "tcp", p.Addr); err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s: %w", p.Addr, ctx.Err())
		case <-p.done:
			return errors.New("it ended at once")
		case <-pause.C:
		}
	}
}

// Stop ends the process and the children in its own process group: politely, after 10 s by force.
func (p *Process) Stop() error {
	_ = syscall.Kill(-p.PID(), syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("%s did not end within 10 s of SIGTERM", p.Name)
}

// Running says whether the process is alive.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Answers sends one request with the header lines and says whether the backend's answer came back.
func (p *Process) Answers(ctx context.Context, header []string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, URL(p.Addr, "/"), nil)
	if err != nil {
		return err
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Set(name, strings.TrimSpace(value))
	}
	client := p.stage.Client()
	defer client.CloseIdleConnections()
	status, text, err := fetch(client, r)
	if err == nil && (status != http.StatusOK || text != body) {
		err = fmt.Errorf("status %d: %.300q", status, text)
	}
	return err
}

// LogTail is the last two kilobytes that the process wrote.
func (p *Process) LogTail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-2048), io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(f, 2048))
	return strings.TrimSpace(string(text))
}
