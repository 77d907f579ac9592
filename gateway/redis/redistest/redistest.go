// Package redistest runs a real redis-server for one test, and breaks it.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"clinicgate/gateway/loopback"
	"clinicgate/gateway/redis"
)

// Server is a redis-server process on a port of its own. It keeps nothing on disk.
type Server struct {
	addr string // host and port
	args []string
	dir  string
	cmd  *exec.Cmd
	over chan struct{} // closed when the process has ended
}

const startTimeout = 30 * time.Second

// Start starts a server and ends it with the test. args are further options, such as "--requirepass", "secret".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{args: args, dir: t.TempDir()}
	t.Cleanup(s.Kill)
	for range 5 { // the port may be taken between looking and starting
		addr, err := loopback.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		s.addr = addr
		if s.launch(t) {
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// launch starts the process and waits until it answers, or has ended.
func (s *Server) launch(t testing.TB) bool {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing: install the Debian package redis-server (apt install redis-server)")
	}
	host, port, _ := net.SplitHostPort(s.addr)
	var said bytes.Buffer
	s.cmd = exec.Command(program, append([]string{
		"--port", port, "--bind", host, "--save", "", "--appendonly", "no", "--dir", s.dir,
	}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	s.over = over
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(over) }(s.cmd)
	c := goredis.NewClient(&goredis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1})
	defer c.Close()
	late, tick := time.After(startTimeout), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			t.Logf("redis-server ended:\n%s", &said)
			return false // the port is another's
		case <-late:
			s.Kill()
			return false
		case <-tick.C:
		}
		err := c.Ping(context.Background()).Err()
		var reply goredis.Error // any, also that a password is wanted
		if err == nil || errors.As(err, &reply) {
			return true
		}
	}
}

// Addr is its host and port.
func (s *Server) Addr() string { return s.addr }

// URL is its address as cluster.yaml has it.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Kill ends the process at once; what it held is gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.over
	s.cmd = nil
}

// Restart starts it anew on the same port, with what was saved and further options from now on.
func (s *Server) Restart(t testing.TB, args ...string) {
	t.Helper()
	s.Kill()
	s.args = append(s.args, args...)
	if !s.launch(t) {
		t.Fatal("redis-server does not start again")
	}
}

// Pause stops the process in the middle of whatever it does: connections stay open and nothing answers.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Do runs one command as an operator would.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: s.Addr()})
	defer c.Close()
	got, err := c.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		t.Fatalf("redis %v: %v", args, err)
	}
	return got
}

// Client connects as a gateway does, and closes with the test.
func Client(t testing.TB, o redis.Options) *goredis.Client {
	t.Helper()
	c, err := redis.Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
