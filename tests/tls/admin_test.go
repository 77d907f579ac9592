package tls_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// insides are addresses of the admin interface, and what only its answers hold.
var insides = map[string]string{
	"/metrics":                     "clinicgate_practices",
	"/debug/pprof/":                "goroutine",
	"/debug/pprof/cmdline":         "--config",
	"/debug/vars":                  "memstats",
	"/config/":                     "practice_enforce",
	"/pki/ca/local":                "root_certificate",
	"/reverse_proxy/upstreams":     "num_requests",
	"/id/none":                     "unknown object ID",
	"/.gate/metrics":               "clinicgate_practices",
	"/.gate/console/../../metrics": "clinicgate_practices",
}

// TestInsidesAreOnTheAdminSocketOnly (THREATS P3).
func TestInsidesAreOnTheAdminSocketOnly(t *testing.T) {
	i := served(t)
	session := i.signIn(t, north)
	do(t, i.client(t, "h1", ""), request(t, http.MethodGet, north, "/public/x")) // a backend that was asked is listed
	for path, telling := range insides {
		if !strings.HasPrefix(path, "/.gate/") {
			res, err := i.admin().Get("http://127.0.0.1" + path)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if !strings.Contains(string(body), telling) {
				t.Errorf("%s on the socket does not say %q: %s %.100s", path, telling, res.Status, body)
			}
		}
		for _, protocol := range []string{"h1", "h2", "h3"} {
			for _, cookie := range []string{"", session.Name + "=" + session.Value} {
				req := request(t, http.MethodGet, north, path, "Cookie", cookie)
				res := do(t, i.client(t, protocol, ""), req)
				if strings.Contains(res.text, telling) {
					t.Errorf("%s on the public listener over %s: %s %.100s", path, protocol, res.Status, res.text)
				}
			}
		}
		if res := i.plain(t, "GET "+path+" HTTP/1.1\r\nHost: "+north+"\r\n\r\n"); strings.Contains(res.text, telling) {
			t.Errorf("%s over plain HTTP: %s %.100s", path, res.Status, res.text)
		}
	}
}

// TestNobodyReloadsFromOutside: a config that is posted to the public listener is a
// request like any other.
func TestNobodyReloadsFromOutside(t *testing.T) {
	i := served(t)
	for _, target := range []string{"/load", "/stop", "/config/", "/adapt"} {
		req := request(t, http.MethodPost, north, target, "Content-Type", "application/json", "Origin", "https://"+north)
		if res := do(t, i.client(t, "h1", ""), req); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("POST %s: %s", target, res.Status)
		}
	}
	if err := i.serves(); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestOnlyTheGatewaysUserOpensTheSocket: mode 0600, in a folder of mode 0700.
func TestOnlyTheGatewaysUserOpensTheSocket(t *testing.T) {
	i := served(t)
	for path, want := range map[string]os.FileMode{i.socket(): 0o600, i.path("run"): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", filepath.Base(path), got, want)
		}
	}
}

// TestListensNowhereElse: the kernel's tables know of no other socket of this process.
func TestListensNowhereElse(t *testing.T) {
	i := served(t)
	want := map[string]bool{"tcp " + i.http: true, "tcp " + i.https: true, "udp " + i.https: true}
	got := map[string]bool{}
	own := socketsOf(t, i.command.Process.Pid)
	for _, table := range []struct{ name, network, state string }{
		{"tcp", "tcp", "0A"}, {"tcp6", "tcp", "0A"}, {"udp", "udp", "07"}, {"udp6", "udp", "07"},
	} {
		for inode, addr := range listening(t, table.name, table.state) {
			if own[inode] {
				got[table.network+" "+addr] = true
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sockets that take connections (-want +got):\n%s", diff)
	}
}

// socketsOf is the inodes of a process's sockets.
func socketsOf(t *testing.T, pid int) map[string]bool {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(links) == 0 {
		t.Fatalf("no open files of process %d: %v", pid, err)
	}
	inodes := map[string]bool{}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	return inodes
}

// listening reads /proc/net/NAME (proc(5)): the addresses of sockets in a state, by inode.
func listening(t *testing.T, name, state string) map[string]string {
	t.Helper()
	file, err := os.Open("/proc/net/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	found := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && fields[3] == state {
			found[fields[9]] = kernelAddr(t, fields[1])
		}
	}
	return found
}

// kernelAddr reads "0100007F:1F90": each word of the address is in the machine's byte
// order, which is little endian on all that we run on.
func kernelAddr(t *testing.T, text string) string {
	t.Helper()
	address, port, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(address)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil {
		t.Fatalf("cannot read %q", text)
	}
	for k := 0; k+4 <= len(ip); k += 4 {
		ip[k], ip[k+1], ip[k+2], ip[k+3] = ip[k+3], ip[k+2], ip[k+1], ip[k]
	}
	return net.JoinHostPort(net.IP(ip).String(), strconv.FormatUint(number, 10))
}
