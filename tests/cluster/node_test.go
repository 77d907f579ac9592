package cluster_test

import (
	"context"
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

	"clinicgate/tests/harness"
)

// node is one machine: a folder with config/cluster's files, and a gateway that runs from it.
type node struct {
	name, dir   string
	http, https string // loopback addresses
	database    *link
	redis       *link

	command *exec.Cmd
	log     *harness.Log
	ended   chan struct{}
}

// layout makes the node's folder: the shipped files with paths, ports and servers of its own, and
// the secrets of the cluster.
func (c *cluster) layout(t testing.TB, n *node, database, redis string) {
	t.Helper()
	n.dir = tempDir(t, "gate")
	for _, folder := range []string{"etc", "run", "state"} {
		if err := os.Mkdir(n.path(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	own := fmt.Sprintf("\tdefault_bind 127.0.0.1\n\thttp_port %s\n\thttps_port %s\n\tskip_install_trust\n", port(n.http), port(n.https))
	folders := []string{"/run/clinicgate", n.path("run"), "/var/lib/clinicgate", n.path("state"), "/etc/clinicgate", n.path("etc")}
	n.write(t, "etc/Caddyfile", replaced(t, shipped(t, "cluster/Caddyfile"), append(folders,
		"\tclinicgate {\n", own+"\tclinicgate {\n", "\t\ton_demand\n", "\t\ton_demand\n\t\tissuer internal\n",
		"grace_period 30s", "grace_period 3s")...)) // a restart waits for open streams
	n.write(t, "etc/cluster.yaml", replaced(t, shipped(t, "cluster/cluster.yaml"),
		"/etc/clinicgate", n.path("etc"), "db.internal", database, "redis.internal:6379", redis))
	n.write(t, "etc/platform.yaml", shipped(t, "platform.yaml"))
	for _, name := range []string{"ca.crt", "postgres.password", "redis.password"} {
		n.write(t, "etc/"+name, c.secret(t, "gateway/"+name))
	}
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

func (n *node) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the gateway and waits until it serves. binary is another program than usual.
func (n *node) start(t testing.TB, binary ...string) {
	t.Helper()
	n.log, n.ended = new(harness.Log), make(chan struct{})
	n.command = exec.Command(append(binary, harness.Binary(t))[0], "run", "--config", n.path("etc/Caddyfile"))
	n.command.Env = append(os.Environ(), "HOME="+n.dir, "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir)
	n.command.Stderr = n.log
	n.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func(command *exec.Cmd, ended chan struct{}) { _ = command.Wait(); close(ended) }(n.command, n.ended)
	eventually(t, wait, n.name+" serves", func() error {
		select {
		case <-n.ended:
			t.Fatalf("%s ended:\n%s", n.name, n.log)
		default:
		}
		return n.healthy()
	})
}

// healthy is what a balancer or Kubernetes asks a node.
func (n *node) healthy() error {
	conn, err := net.DialTimeout("tcp", n.https, time.Second)
	if err != nil {
		return err
	}
	conn.Close()
	out, err := exec.Command(n.command.Path, "health", "--config", n.path("etc/Caddyfile")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// stop ends the gateway as an operator does.
func (n *node) stop() { n.end(syscall.SIGTERM) }

// kill ends it as the power supply does.
func (n *node) kill() { n.end(syscall.SIGKILL) }

func (n *node) end(signal os.Signal) {
	if n.command == nil {
		return
	}
	_ = n.command.Process.Signal(signal)
	select {
	case <-n.ended:
	case <-time.After(45 * time.Second):
		_ = n.command.Process.Kill()
		<-n.ended
	}
	n.command = nil
}

// admin asks the admin socket.
func (n *node) admin(method, path, body string) (status int, text string, err error) {
	client := &http.Client{Timeout: wait, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", n.path("run/admin.sock"))
		},
	}}
	req, err := http.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cache-Control", "must-revalidate") // load the same config all the same
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	return res.StatusCode, string(read), err
}

// metric is the value of one series, "" when it is not there.
func (n *node) metric(series string) string {
	_, text, _ := n.admin(http.MethodGet, "/metrics", "")
	for line := range strings.SplitSeq(text, "\n") {
		if value, found := strings.CutPrefix(line, series+" "); found {
			return value
		}
	}
	return ""
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
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

// replaced is text with pairs of what is replaced by what; each must be there.
func replaced(t testing.TB, text string, pairs ...string) string {
	t.Helper()
	for k := 0; k < len(pairs); k += 2 {
		if !strings.Contains(text, pairs[k]) {
			t.Fatalf("there is no %q in\n%s", pairs[k], text)
		}
		text = strings.ReplaceAll(text, pairs[k], pairs[k+1])
	}
	return text
}

// tempDir is a folder with a name short enough for a socket in it.
func tempDir(t testing.TB, prefix string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// wait bounds everything that a test waits for.
const wait = 30 * time.Second

// eventually repeats a look until it finds what it looks for; it ends the test after the time.
func eventually(t testing.TB, within time.Duration, what string, look func() error) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		err := look()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", within, what, err)
		}
	}
}

// trouble is a log without what went well.
func trouble(log *harness.Log) string {
	var lines []string
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, `"level":"info"`) && !strings.Contains(line, "host checking disabled") &&
			!strings.Contains(line, "aborting with incomplete response") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// wants says what is wrong unless a series has this value.
func wants(n *node, series, value string) error {
	if got := n.metric(series); got != value {
		return fmt.Errorf("%s is %q at %s, want %s", series, got, n.name, value)
	}
	return nil
}
