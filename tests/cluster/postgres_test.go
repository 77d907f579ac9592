package cluster_test

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // what operators do on the server

	"clinicgate/tests/harness"
)

// postgres is a PostgreSQL server with a data folder of its own, as Debian's package configures it:
// what it says it wrote is on disk.
type postgres struct {
	dir, addr string
	bin       string // folder of its programs
	run       *syscall.SysProcAttr
	log       *harness.Log
	command   *exec.Cmd
	ended     chan struct{}
}

// startPostgres starts one with the certificate and the role that are in a folder.
func startPostgres(t testing.TB, secrets string) *postgres {
	t.Helper()
	p := &postgres{addr: harness.FreeAddr(t), log: new(harness.Log)}
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(folders) == 0 {
		t.Fatal("PostgreSQL is missing: install Debian's package postgresql (tests/run does)")
	}
	p.bin = folders[len(folders)-1]
	p.dir = tempDir(t, "gatepg")
	p.run = p.unprivileged(t)
	p.tool(t, "initdb", "--no-sync", "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8",
		"--no-locale", "-D", p.path("data"))
	p.certify(t, secrets)
	t.Cleanup(func() { p.signal(syscall.SIGCONT); p.stop() })
	p.start(t)
	role, err := os.ReadFile(filepath.Join(secrets, "role.sql"))
	if err != nil {
		t.Fatal(err)
	}
	p.exec(t, string(role))
	return p
}

// unprivileged is the account that it runs under: PostgreSQL refuses to be root.
func (p *postgres) unprivileged(t testing.TB) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(p.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Pdeathsig: syscall.SIGQUIT}
}

func (p *postgres) path(name string) string { return filepath.Join(p.dir, name) }

// tool runs one of PostgreSQL's own programs, as its user.
func (p *postgres) tool(t testing.TB, name string, args ...string) {
	t.Helper()
	command := exec.Command(filepath.Join(p.bin, name), args...)
	command.Dir, command.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: p.run.Credential}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// certify gives the server its certificate, with which it encrypts.
func (p *postgres) certify(t testing.TB, secrets string) {
	t.Helper()
	for _, name := range []string{"server.crt", "server.key"} {
		text, err := os.ReadFile(filepath.Join(secrets, name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(p.dir, "data", name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if c := p.run.Credential; c != nil {
			if err := os.Chown(file, int(c.Uid), int(c.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// start runs the server and waits until it takes connections.
func (p *postgres) start(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(p.addr)
	p.command = exec.Command(filepath.Join(p.bin, "postgres"), "-D", p.path("data"), "-p", port, "-k", p.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", "log_min_messages=fatal")
	p.command.Dir, p.command.SysProcAttr = p.dir, p.run
	p.command.Stderr = p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) { _ = command.Wait(); close(ended) }(p.command, p.ended)
	eventually(t, wait, "PostgreSQL takes connections", func() error {
		db := p.open("postgres")
		defer db.Close()
		return db.Ping()
	})
}

// stop ends it as an operator does who is in a hurry: connections are cut, what is committed is safe.
func (p *postgres) stop() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGINT)
	select {
	case <-p.ended:
	case <-time.After(wait):
		_ = p.command.Process.Kill()
		<-p.ended
	}
	p.command = nil
}

// pause stops all its processes in the middle of whatever they do: connections stay open and
// nothing answers.
func (p *postgres) pause(t testing.TB) {
	t.Helper()
	p.signal(syscall.SIGSTOP)
	t.Cleanup(p.resume)
}

// resume lets them go on.
func (p *postgres) resume() { p.signal(syscall.SIGCONT) }

func (p *postgres) signal(s syscall.Signal) {
	if p.command == nil {
		return
	}
	postmaster := p.command.Process.Pid
	_ = syscall.Kill(postmaster, s) // first: it makes no more children then
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, _ := os.ReadFile(file)
		_, rest, _ := strings.Cut(string(text), ") ")
		var state string
		var parent int
		if n, _ := fmt.Sscan(rest, &state, &parent); n == 2 && parent == postmaster {
			if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
				_ = syscall.Kill(pid, s)
			}
		}
	}
}

// open connects as the server's administrator.
func (p *postgres) open(database string) *sql.DB {
	_, port, _ := net.SplitHostPort(p.addr)
	db, err := sql.Open("pgx", fmt.Sprintf("host=%s port=%s user=postgres dbname=%s", p.dir, port, database))
	if err != nil {
		panic(err)
	}
	return db
}

// exec does something as the server's administrator.
func (p *postgres) exec(t testing.TB, statement string) {
	t.Helper()
	db := p.open("postgres")
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// cut ends all connections of gateways.
func (p *postgres) cut(t testing.TB) {
	t.Helper()
	p.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'clinicgate'`)
}
