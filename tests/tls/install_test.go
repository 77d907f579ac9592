package tls_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// wait bounds everything that a test waits for.
const wait = 30 * time.Second

// The people and places of an installation.
const (
	north    = "north.clinic.test" // serves, with a backend
	south    = "south.clinic.test" // serves, with the same backend
	flaky    = "flaky.clinic.test" // has a backend of its own
	down     = "down.clinic.test"  // its backend does not answer
	stranger = "stranger.test"     // no practice has it
	password = "quiet lantern over the harbour wall"
)

// install is an installation with the Caddyfile that is shipped: only paths, ports
// and the certificate authority are a test's own.
type install struct {
	dir         string
	http, https string // loopback addresses
	roots       *x509.CertPool

	command *exec.Cmd
	log     *harness.Log
	ended   chan struct{}
}

// prepare makes the installation's files and practices, and does not start it.
func prepare(t testing.TB, edit ...string) *install {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	i := &install{dir: dir, http: harness.FreeAddr(t), https: harness.FreeAddr(t)}
	for _, folder := range []string{"etc", "run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	i.write(t, "etc/Caddyfile", i.caddyfile(t, edit...))
	i.write(t, "etc/platform.yaml", shipped(t, "platform.yaml"))
	i.run(t, "", "keys", "init")
	return i
}

// shipped is a file of the config folder.
func shipped(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Root(), "config", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onDemand is the line that a test puts an issuer behind.
const onDemand = "\t\ton_demand\n"

// caddyfile is config/Caddyfile moved into the installation's folder. edit holds pairs
// of what is replaced by what; each must be there.
func (i *install) caddyfile(t testing.TB, edit ...string) string {
	t.Helper()
	_, httpPort, _ := net.SplitHostPort(i.http)
	_, httpsPort, _ := net.SplitHostPort(i.https)
	own := fmt.Sprintf("\tdefault_bind 127.0.0.1\n\thttp_port %s\n\thttps_port %s\n", httpPort, httpsPort)
	if !strings.Contains(strings.Join(edit, ""), onDemand) {
		edit = append([]string{onDemand, onDemand + "\t\tissuer internal\n"}, edit...)
		own += "\tskip_install_trust\n"
	}
	moved := []string{
		"/run/clinicgate", i.dir + "/run", "/var/lib/clinicgate", i.dir + "/state", "/etc/clinicgate", i.dir + "/etc",
		"\tclinicgate {\n", own + "\tclinicgate {\n",
	}
	text := shipped(t, "Caddyfile")
	for _, pairs := range [][]string{moved, edit} {
		for k := 0; k < len(pairs); k += 2 {
			if !strings.Contains(text, pairs[k]) {
				t.Fatalf("config/Caddyfile has no %q", pairs[k])
			}
			text = strings.ReplaceAll(text, pairs[k], pairs[k+1])
		}
	}
	return text
}

func (i *install) path(name string) string { return filepath.Join(i.dir, name) }

func (i *install) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(i.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command on the installation, which must succeed.
func (i *install) run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, stderr, code := harness.Run(t, stdin, append(args, "--config", i.path("etc/Caddyfile"))...)
	if code != 0 {
		t.Fatalf("gateway %s: exit %d, %s", strings.Join(args, " "), code, stderr)
	}
	return out
}

// practice makes a practice with one host and one person, reception@HOST.
func (i *install) practice(t testing.TB, host, upstream string, more ...string) {
	t.Helper()
	id, _, _ := strings.Cut(host, ".")
	i.write(t, "practice.yaml", fmt.Sprintf(`practice: %s
name: %s
hosts: [%s]
timezone: Australia/Sydney
upstreams: [%s]
sign_in:
  methods: [password]
  second_factor: {stage: report, accept: [totp]}
access:
  - {path: /public/*, public: true}
%s`, id, id, host, upstream, strings.Join(more, "\n")))
	i.run(t, "", "practice", "apply", "-f", i.path("practice.yaml"))
	i.run(t, password, "user", "add", "--practice", id, "--email", "reception@"+host, "--name", "Reception",
		"--role", "reception", "--password-file", "-")
}

// start runs the gateway and waits until it serves. It ends with the test.
func (i *install) start(t testing.TB, env ...string) {
	t.Helper()
	t.Cleanup(i.stop)
	i.log, i.ended = new(harness.Log), make(chan struct{})
	i.command = exec.Command(harness.Binary(t), "run", "--config", i.path("etc/Caddyfile"))
	i.command.Env = append(os.Environ(), append(env, "HOME="+i.dir, "XDG_DATA_HOME="+i.dir, "XDG_CONFIG_HOME="+i.dir)...)
	i.command.Stderr = i.log
	if err := i.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = i.command.Wait()
		close(i.ended)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%.6000s", i.log)
		}
	})
	i.await(t, i.serves)
}

func (i *install) serves() error {
	for _, addr := range []string{i.http, i.https} {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		conn.Close()
	}
	res, err := i.admin().Get("http://127.0.0.1/metrics")
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// await repeats a look until it finds what it looks for.
func (i *install) await(t testing.TB, look func() error) {
	t.Helper()
	for deadline := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		err := look()
		if err == nil {
			return
		}
		select {
		case <-i.ended:
			t.Fatalf("the gateway ended:\n%s", i.log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v\n%s", wait, err, i.log)
		}
	}
}

// stop ends the gateway as an operator does.
func (i *install) stop() {
	if i.command == nil || i.command.Process == nil {
		return
	}
	_ = i.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-i.ended:
	case <-time.After(wait):
		_ = i.command.Process.Kill()
		<-i.ended
	}
}

// trustInternal reads the development authority's root, once it is made.
func (i *install) trustInternal(t testing.TB) {
	t.Helper()
	i.await(t, func() error { return i.trustFile(i.path("state/caddy/pki/authorities/local/root.crt")) })
}

// trustFile trusts the authority whose root a file holds.
func (i *install) trustFile(file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	i.roots = x509.NewCertPool()
	if !i.roots.AppendCertsFromPEM(pem) {
		return errors.New("no certificate in " + file)
	}
	return nil
}

// socket is the admin socket's path.
func (i *install) socket() string { return i.path("run/admin.sock") }

// admin is a client of the admin socket.
func (i *install) admin() *http.Client {
	return &http.Client{Timeout: wait, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", i.socket())
		},
	}}
}

// stored is the names of the certificates that the gateway has kept.
func (i *install) stored(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(i.path("state/caddy/certificates/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	for k := range files {
		files[k] = filepath.Base(files[k])
	}
	return files
}
