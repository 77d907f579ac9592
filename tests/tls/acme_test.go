package tls_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// authority is Let's Encrypt's test authority: pebble, with a DNS server of its own
// that says 127.0.0.1 for every name. It checks challenges as a public one does.
type authority struct {
	dir, addr, admin string
	log              *harness.Log
	roots            *x509.CertPool // of pebble's own HTTPS
}

// startAuthority runs pebble. It asks for challenges at i's two ports.
func startAuthority(t *testing.T, i *install) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), addr: harness.FreeAddr(t), admin: harness.FreeAddr(t), log: new(harness.Log)}
	a.makeCertificate(t)
	dns := freeForBoth(t)
	a.run(t, "pebble-challtestsrv", "-dns01", dns, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-management", harness.FreeAddr(t))
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": a.addr, "managementListenAddress": a.admin,
		"certificate": filepath.Join(a.dir, "cert.pem"), "privateKey": filepath.Join(a.dir, "key.pem"),
		"httpPort": portOf(t, i.http), "tlsPort": portOf(t, i.https),
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	a.run(t, "pebble", "-config", file, "-dnsserver", dns, "-strict")
	for deadline := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		if _, err := a.get("https://" + a.addr + "/dir"); err == nil {
			return a
		} else if time.Now().After(deadline) {
			t.Fatalf("pebble does not serve: %v\n%s", err, a.log)
		}
	}
}

// run starts a program that ends with the test.
func (a *authority) run(t *testing.T, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = a.log, a.log
	command.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_VA_ALWAYS_VALID=0", "PEBBLE_AUTHZREUSE=0")
	if err := command.Start(); err != nil {
		t.Fatalf("%v: install Debian's package pebble (tests/run does)", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
}

// makeCertificate makes the certificate that pebble serves HTTPS with.
func (a *authority) makeCertificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{
		"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}),
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.roots = x509.NewCertPool()
	a.roots.AppendCertsFromPEM(certificate)
}

func (a *authority) get(url string) ([]byte, error) {
	client := &http.Client{Timeout: wait, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.roots}, DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return body, err
}

// issued is the pool of the authority's root, which it makes anew at every start.
func (a *authority) issued(t *testing.T) *x509.CertPool {
	t.Helper()
	root, err := a.get("https://" + a.admin + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		t.Fatal("pebble has no root")
	}
	return pool
}

// orders counts what the authority was asked for: not the requests, because it refuses one good
// nonce in twenty and is asked again.
func (a *authority) orders() int { return strings.Count(a.log.String(), "Added order ") }

// mentions reports whether the authority has ever heard of a name.
func (a *authority) mentions(name string) bool { return strings.Contains(a.log.String(), name) }

func portOf(t *testing.T, addr string) int {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return tcp.Port
}

// freeForBoth is an address that is free over TCP and UDP, as a DNS server needs.
func freeForBoth(t *testing.T) string {
	t.Helper()
	for range 20 {
		addr := harness.FreeAddr(t)
		if c, err := net.ListenPacket("udp", addr); err == nil {
			c.Close()
			return addr
		}
	}
	t.Fatal("no port is free over TCP and UDP")
	return ""
}

// withACME makes an installation whose certificates come from an authority. extra are
// further lines of the issuer.
func withACME(t *testing.T, extra string) (*install, *authority) {
	t.Helper()
	i := prepare(t)
	a := startAuthority(t, i)
	i.write(t, "etc/Caddyfile", i.caddyfile(t, onDemand, fmt.Sprintf("%s\t\tissuer acme {\n\t\t\tdir https://%s/dir\n\t\t\ttrusted_roots %s\n\t\t\t%s\n\t\t}\n",
		onDemand, a.addr, filepath.Join(a.dir, "cert.pem"), extra)))
	return i, a
}

// TestCertificateOnDemandFromACME: the first visit of a practice's host orders its
// certificate, by either kind of challenge, and the next visits use it. Nothing else
// ever leads to an order.
func TestCertificateOnDemandFromACME(t *testing.T) {
	for name, extra := range map[string]string{
		"TLS-ALPN challenge": "disable_http_challenge",
		"HTTP challenge":     "disable_tlsalpn_challenge",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, a := withACME(t, extra)
			i.practice(t, north, startBackend(t))
			i.start(t)
			i.roots = a.issued(t)
			if got := a.orders(); got != 0 {
				t.Errorf("%d orders before anybody came", got)
			}
			i.expectRefused(t, stranger, "www."+north, "127.0.0.1", "")
			for range 3 {
				res := i.status(t, north, "/public/json", nil)
				if res.StatusCode != http.StatusOK {
					t.Errorf("answers %s", res.Status)
				}
				checkHSTS(t, res, http.StatusOK)
			}
			if got := a.orders(); got != 1 {
				t.Errorf("%d orders for one host", got)
			}
			for _, name := range []string{stranger, "www." + north} {
				if a.mentions(name) {
					t.Errorf("the authority was asked about %s", name)
				}
			}
			if t.Failed() {
				t.Logf("pebble:\n%.4000s", a.log)
			}
		})
	}
}

// TestRemovedPracticeGetsNoCertificate: neither a new one, nor the stored one again.
func TestRemovedPracticeGetsNoCertificate(t *testing.T) {
	t.Parallel()
	i, a := withACME(t, "disable_http_challenge")
	upstream := startBackend(t)
	i.practice(t, north, upstream)
	i.practice(t, south, upstream)
	i.start(t)
	i.roots = a.issued(t)
	for _, host := range []string{north, south} {
		if res := i.status(t, host, "/public/json", nil); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", host, res.Status)
		}
	}
	i.run(t, "", "practice", "remove", "north", "--yes", "--reason", "closed")
	i.await(t, func() error {
		if res := i.status(t, north, "/public/json", nil); res.StatusCode != http.StatusMisdirectedRequest {
			return fmt.Errorf("the removed practice answers %s", res.Status)
		}
		return nil
	})
	orders := a.orders()
	i.stop()
	i.start(t) // the certificate's validity is not over, and it is still in the storage
	i.expectRefused(t, north)
	if err := os.RemoveAll(i.path("state/caddy/certificates")); err != nil {
		t.Fatal(err)
	}
	i.expectRefused(t, north)
	if got := a.orders(); got != orders {
		t.Errorf("%d orders after the removal", got-orders)
	}
	if res := i.status(t, south, "/public/json", nil); res.StatusCode != http.StatusOK {
		t.Errorf("the other practice: %s", res.Status)
	}
	if t.Failed() {
		t.Logf("pebble:\n%.4000s", a.log)
	}
}

// expectRefused tries handshakes that must end without a certificate.
func (i *install) expectRefused(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		config := i.trust(name)
		config.InsecureSkipVerify = true
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", i.https)
		cancel()
		if err == nil {
			conn.Close()
			t.Errorf("%q got a certificate", name)
		} else if !strings.Contains(err.Error(), "remote error") {
			t.Errorf("%q: not refused by the gateway: %v", name, err)
		}
	}
}

// TestChallengesAnswerNobodyElse: the paths and protocols of ACME are no way round the
// host check.
func TestChallengesAnswerNobodyElse(t *testing.T) {
	i := served(t)
	config := i.trust(north, "acme-tls/1")
	conn, err := tls.Dial("tcp", i.https, config)
	if err == nil {
		conn.Close()
		t.Error("a TLS-ALPN challenge that nobody has asked for was answered")
	}
	for _, host := range []string{north, stranger} {
		res := i.plain(t, "GET /.well-known/acme-challenge/../../metrics HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if res.StatusCode < 400 || bytes.Contains([]byte(res.text), []byte("backend")) {
			t.Errorf("%s: %s %.100s", host, res.Status, res.text)
		}
	}
}
