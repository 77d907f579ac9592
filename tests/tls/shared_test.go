package tls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"clinicgate/tests/harness"
)

// beside is another gateway on i's state, with i's Caddyfile but an admin socket and ports
// of its own.
func (i *install) beside(t *testing.T) *install {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	j := &install{dir: dir, http: harness.FreeAddr(t), https: harness.FreeAddr(t)}
	for _, folder := range []string{"etc", "run"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	j.write(t, "etc/Caddyfile", i.edited(t, i.dir+"/run", j.dir+"/run",
		fmt.Sprint("http_port ", portOf(t, i.http)), fmt.Sprint("http_port ", portOf(t, j.http)),
		fmt.Sprint("https_port ", portOf(t, i.https)), fmt.Sprint("https_port ", portOf(t, j.https))))
	return j
}

// edited is the installation's Caddyfile with pairs of what is replaced by what.
func (i *install) edited(t *testing.T, pairs ...string) string {
	t.Helper()
	file, err := os.ReadFile(i.path("etc/Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	for k := 0; k < len(pairs); k += 2 {
		if !strings.Contains(text, pairs[k]) {
			t.Fatalf("the Caddyfile has no %q", pairs[k])
		}
		text = strings.ReplaceAll(text, pairs[k], pairs[k+1])
	}
	return text
}

// TestTwoGatewaysOrderOneCertificateAndResumeEachOthersSessions: many first visits at once, at
// both; the authority's challenge comes to one of them, whoever has ordered.
func TestTwoGatewaysOrderOneCertificateAndResumeEachOthersSessions(t *testing.T) {
	t.Parallel()
	a, authority := withACME(t, "disable_http_challenge")
	a.write(t, "etc/Caddyfile", a.edited(t, "storage file_system "+a.dir+"/state/caddy", "storage practice"))
	b := a.beside(t)
	a.practice(t, north, startBackend(t))
	a.start(t)
	b.start(t)
	a.roots = authority.issued(t)
	b.roots = a.roots

	serials := make([]string, 12)
	var all sync.WaitGroup
	for k := range serials {
		all.Go(func() {
			state, err := []*install{a, b}[k%2].handshake(t.Context(), north, nil)
			if err != nil {
				t.Errorf("visit %d: %v", k, err)
				return
			}
			serials[k] = state.PeerCertificates[0].SerialNumber.String()
		})
	}
	all.Wait()
	for k, serial := range serials {
		if serial != serials[0] {
			t.Errorf("visit %d meets certificate %s, the first %s", k, serial, serials[0])
		}
	}
	if got := authority.orders(); got != 1 {
		t.Errorf("%d orders for one host", got)
	}
	if _, err := os.Stat(a.path("state/caddy")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("certificates are in files: %v", err)
	}
	for _, way := range [][2]*install{{a, b}, {b, a}} {
		way[1].await(t, func() error { // the keys come soon after the start
			sessions := tls.NewLRUClientSessionCache(1)
			if _, err := way[0].handshake(t.Context(), north, sessions); err != nil {
				return err
			}
			state, err := way[1].handshake(t.Context(), north, sessions)
			if err == nil && !state.DidResume {
				err = errors.New("a session of the other gateway is not resumed")
			}
			return err
		})
	}
	b.stop()
	b.start(t)
	b.await(t, func() error { // its end is watched, by whoever starts
		if got := b.metric(t, "clinicgate_certificates"); got != "1" {
			return fmt.Errorf("%q certificates in the metrics, want 1", got)
		}
		return nil
	})
	if t.Failed() {
		t.Logf("pebble:\n%.4000s", authority.log)
	}
}

// handshake visits a host and reads one answer, behind which session tickets have come.
func (i *install) handshake(ctx context.Context, host string, sessions tls.ClientSessionCache) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	config := i.trust(host)
	config.ClientSessionCache = sessions
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", i.https)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /public/json HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return tls.ConnectionState{}, err
	}
	if _, err := conn.Read(make([]byte, 100)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.(*tls.Conn).ConnectionState(), nil
}
