package rig

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"clinicgate/gateway/demo/backend"
	"clinicgate/tests/harness"
)

// Config is a Caddyfile of a test's own.
type Config struct {
	Servers string // lines of `servers`
	Site    string // lines beside practice_gateway
	Gateway string // lines of practice_gateway
	// JSON edits the adapted config before it runs.
	JSON func(config map[string]any)
}

// Seeded is the state of a demo that has ended, with a backend that goes on.
type Seeded struct {
	demo    *harness.Gateway
	cookies map[string]string
}

// Seed makes practices and people as the demo does, signs in who has to be signed in
// later, and makes the documents the policies of their practices. Where a document
// names the example's backend it gets a demo backend that lives as long as the test.
func Seed(t testing.TB, documents ...string) *Seeded {
	t.Helper()
	s := &Seeded{demo: harness.Start(t), cookies: map[string]string{}}
	for _, who := range [][2]string{{"harbour", "admin"}, {"acacia", "clinician"}} {
		s.cookies[who[0]+" "+who[1]] = new(Sessions).Of(t, s.demo, who[0], who[1])
	}
	s.demo.Stop()
	server, err := backend.Serve(t.Context(), "127.0.0.1:0", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.demo.Backend = server.URL()
	for _, document := range documents {
		apply(t, s.demo, strings.Replace(document, "127.0.0.1:9000", strings.TrimPrefix(s.demo.Backend, "http://"), 1))
	}
	return s
}

// Cookie is the session cookie of harbour's admin or acacia's clinician.
func (s *Seeded) Cookie(t testing.TB, practice, account string) string {
	t.Helper()
	cookie := s.cookies[practice+" "+account]
	if cookie == "" {
		t.Fatalf("%s of %s was not signed in", account, practice)
	}
	return cookie
}

// Run starts the gateway on the state with a config of its own. It is stopped with
// the test.
func (s *Seeded) Run(t testing.TB, c Config) *harness.Gateway {
	t.Helper()
	demo := s.demo
	host, port, err := net.SplitHostPort(demo.Addr)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	caddyfile := filepath.Join(folder, "Caddyfile")
	write(t, caddyfile, c.caddyfile(demo.State, folder, host, port))
	adapted, stderr, code := harness.Run(t, "", "adapt", "--config", caddyfile)
	if code != 0 {
		t.Fatalf("adapting the Caddyfile: %s", stderr)
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(adapted), &config); err != nil {
		t.Fatalf("reading the adapted config: %v", err)
	}
	if c.JSON != nil {
		c.JSON(config)
	}
	edited, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "config.json")
	write(t, file, string(edited))
	start(t, demo, file)
	return demo
}

// Handlers are those of the chain that practice_gateway expands to: practice,
// practice_login, practice_enforce, reverse_proxy.
func Handlers(config map[string]any) []map[string]any {
	var handlers []map[string]any
	for _, handler := range route(config)["handle"].([]any) {
		handlers = append(handlers, handler.(map[string]any))
	}
	return handlers
}

// SetHandlers replaces the chain.
func SetHandlers(config map[string]any, handlers ...map[string]any) {
	route(config)["handle"] = handlers
}

func route(config map[string]any) map[string]any {
	at := config
	for _, name := range []string{"apps", "http", "servers", "srv0"} {
		at = at[name].(map[string]any)
	}
	return at["routes"].([]any)[0].(map[string]any)
}

func (c Config) caddyfile(state, folder, host, port string) string {
	return fmt.Sprintf(`{
	admin "unix/%[2]s/admin.sock|0600"
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	https_port %[4]s
	storage file_system "%[1]s/caddy"
	on_demand_tls {
		permission practice
	}
	servers {
		listener_wrappers {
			handshake_turns
			tls
			strict_http1
		}
		strict_sni_host on
		0rtt off
		%[5]s
	}
	log {
		output stderr
		level WARN
	}
	clinicgate {
		state "%[1]s"
	}
}
https:// {
	bind %[3]s
	tls {
		issuer internal
		on_demand
	}
	practice_gateway {
		%[7]s
	}
	%[6]s
}
`, state, folder, host, port, c.Servers, c.Site, c.Gateway)
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the binary and waits until it takes connections.
func start(t testing.TB, g *harness.Gateway, file string) {
	t.Helper()
	command := exec.Command(harness.Binary(t), "run", "--config", file)
	log := new(harness.Log)
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(wait):
			_ = command.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", log)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", g.Addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("the gateway ended: %s", log)
		case <-ctx.Done():
			t.Fatalf("the gateway does not serve: %s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Apply makes a document the policy of its practice while the gateway serves, and
// waits until a GET of host and target is answered with status: the gateway then
// lives by the document.
func Apply(t testing.TB, g *harness.Gateway, document, host, target string, status int) {
	t.Helper()
	apply(t, g, document)
	got := 0
	for deadline := time.Now().Add(wait); got != status; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the new policy does not come into force: %s%s answers %d, want %d", host, target, got, status)
		}
		got = ask(g, host, target)
	}
}

func apply(t testing.TB, g *harness.Gateway, document string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "practice.yaml")
	write(t, file, document)
	if _, stderr, code := g.Run(t, "practice", "apply", "-f", file); code != 0 {
		t.Fatalf("applying the document: %s", stderr)
	}
}

// ask is the status of a GET, 0 while there is not even a certificate for the host.
func ask(g *harness.Gateway, host, target string) int {
	name, _, _ := strings.Cut(host, ":")
	conn, err := tls.Dial("tcp", g.Addr, g.TLS(name, "http/1.1"))
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(wait))
	_, _ = io.WriteString(conn, Request{Host: host, Target: target}.Text())
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	return res.StatusCode
}

// Document is harbour's example with other lines: replaced maps old text to new.
func Document(t testing.TB, name string, replaced ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Root(), "config", "examples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replaced); i += 2 {
		if !strings.Contains(string(text), replaced[i]) {
			t.Fatalf("%s.yaml has no %q", name, replaced[i])
		}
	}
	return strings.NewReplacer(replaced...).Replace(string(text))
}
