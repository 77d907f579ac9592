// Package harness runs the built gateway as a black box: the demo on a free port,
// browsers with cookie jars, raw TLS connections, and the backend's hit counter.
package harness

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"clinicgate/gateway/loopback"
)

// Account is one account of the demo's JSON line.
type Account struct {
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	TOTPSecret string   `json:"totp_secret"`
	Roles      []string `json:"roles"`
}

// Practice is one practice of the demo's JSON line.
type Practice struct {
	ID       string          `json:"id"`
	URL      string          `json:"url"`
	Policy   json.RawMessage `json:"policy"`
	Accounts []Account       `json:"accounts"`
}

// Gateway is a running `gateway demo`.
type Gateway struct {
	Ready     bool       `json:"ready"`
	CAFile    string     `json:"ca"`
	Backend   string     `json:"backend"`
	Practices []Practice `json:"practices"`

	Addr  string // loopback address it listens on
	State string // its state folder

	roots   *x509.CertPool
	command *exec.Cmd
	stderr  *Log
	ended   chan struct{}
}

// Start runs the demo on a free port in a folder of the test's own and ends it with
// the test.
func Start(t testing.TB, args ...string) *Gateway {
	t.Helper()
	return StartIn(t, t.TempDir(), args...)
}

// StartIn is Start on a state folder that may have served before.
func StartIn(t testing.TB, state string, args ...string) *Gateway {
	t.Helper()
	g, err := launch(Binary(t), state, FreeAddr(t), args...)
	if err != nil {
		t.Fatalf("starting the demo: %v", err)
	}
	t.Cleanup(g.Stop)
	return g
}

// Launch is StartIn for a TestMain, which has no testing.TB. The caller stops it.
func Launch(state string, args ...string) (*Gateway, error) {
	binary, err := build()
	if err != nil {
		return nil, err
	}
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	return launch(binary, state, addr, args...)
}

func launch(binary, state, addr string, args ...string) (*Gateway, error) {
	g := &Gateway{Addr: addr, State: state, stderr: new(Log), ended: make(chan struct{})}
	g.command = exec.Command(binary, append([]string{"demo", "--json", "--listen", addr, "--state", state}, args...)...)
	g.command.Stderr = g.stderr
	out, err := g.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := g.command.Start(); err != nil {
		return nil, err
	}
	first := make(chan error, 1)
	go func() {
		lines := bufio.NewReaderSize(out, 1<<20)
		line, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, g)
		}
		first <- err
		_, _ = io.Copy(io.Discard, lines)
		_ = g.command.Wait()
		close(g.ended)
	}()
	select {
	case err = <-first:
	case <-time.After(60 * time.Second):
		err = fmt.Errorf("no line within a minute")
	}
	if err != nil || !g.Ready {
		g.Kill()
		return nil, fmt.Errorf("waiting for the demo's line: %v\n%s", err, g.stderr)
	}
	return g, g.trust()
}

func (g *Gateway) trust() error {
	pem, err := os.ReadFile(g.CAFile)
	if err != nil {
		return err
	}
	g.roots = x509.NewCertPool()
	if !g.roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", g.CAFile)
	}
	return nil
}

// Stop ends the gateway as an operator does.
func (g *Gateway) Stop() { g.end(syscall.SIGTERM) }

// Kill ends it as the power supply does.
func (g *Gateway) Kill() { g.end(syscall.SIGKILL) }

func (g *Gateway) end(signal os.Signal) {
	if g.command.Process == nil {
		return
	}
	_ = g.command.Process.Signal(signal)
	select {
	case <-g.ended:
	case <-time.After(20 * time.Second):
		_ = g.command.Process.Kill()
		<-g.ended
	}
}

// PID is the process id of the gateway.
func (g *Gateway) PID() int { return g.command.Process.Pid }

// Log is what the gateway has written to standard error so far.
func (g *Gateway) Log() string { return g.stderr.String() }

// Practice returns a practice of the demo.
func (g *Gateway) Practice(id string) Practice {
	for _, p := range g.Practices {
		if p.ID == id {
			return p
		}
	}
	panic("no practice " + id)
}

// Host is a practice's host name.
func (p Practice) Host() string {
	host, _, _ := strings.Cut(strings.TrimPrefix(p.URL, "https://"), ":")
	return host
}

// Account returns an account by the part of its address before the @.
func (p Practice) Account(name string) Account {
	for _, a := range p.Accounts {
		if strings.HasPrefix(a.Email, name+"@") {
			return a
		}
	}
	panic("no account " + name + " at " + p.ID)
}

// TLS is a client configuration that trusts the demo's authority and names a host.
func (g *Gateway) TLS(serverName string, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: g.roots, ServerName: serverName, NextProtos: protocols}
}

// Dial opens a TLS connection with a server name of choice.
func (g *Gateway) Dial(t testing.TB, serverName string, protocols ...string) *tls.Conn {
	t.Helper()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: g.TLS(serverName, protocols...)}
	conn, err := dialer.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatalf("TLS to %s as %s: %v", g.Addr, serverName, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*tls.Conn)
}

// Raw sends bytes over HTTP/1.1 and reads one response.
func (g *Gateway) Raw(t testing.TB, serverName, request string) *http.Response {
	t.Helper()
	conn := g.Dial(t, serverName, "http/1.1")
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatalf("writing: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no response to %.80q: %v", request, err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res
}

// Hits is how many requests the backend has answered below a path prefix.
func (g *Gateway) Hits(t testing.TB, prefix string) int {
	t.Helper()
	res, err := http.Get(g.Backend + "/api/hits?prefix=" + prefix)
	if err != nil {
		t.Fatalf("asking for hits: %v", err)
	}
	defer res.Body.Close()
	var answer struct{ Hits int }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("reading hits: %v", err)
	}
	return answer.Hits
}

// Run runs a subcommand on the gateway's state while it serves, and returns what it
// printed and its exit code.
func (g *Gateway) Run(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return Run(t, "", append(args, "--state", g.State)...)
}

// Run runs the binary with an input.
func Run(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, Binary(t), args...)
	var out, err bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &err
	failed := command.Run()
	if failed != nil && command.ProcessState == nil {
		t.Fatalf("running gateway %v: %v", args, failed)
	}
	return out.String(), err.String(), command.ProcessState.ExitCode()
}

// Binary is the gateway's binary: $GATEWAY_BINARY, or built once for this process.
func Binary(t testing.TB) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// build makes the binary in the repository's bin folder; Go's cache makes it quick
// when nothing changed.
var build = sync.OnceValues(func() (string, error) {
	if binary := os.Getenv("GATEWAY_BINARY"); binary != "" {
		return binary, nil
	}
	binary := filepath.Join(Root(), "bin", "gateway")
	command := exec.Command("go", "build", "-o", binary, "./gateway")
	command.Dir = Root()
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %v\n%s", err, out)
	}
	return binary, nil
})

// Root is the repository's folder.
func Root() string {
	folder, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		if folder == "/" {
			panic("harness: not inside the repository")
		}
		folder = filepath.Dir(folder)
	}
}

// FreeAddr is a loopback address that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := loopback.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
