package stage

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Host is the name that every front serves. wrk takes the TLS server name from the URL and resolves it, so it must
// be one that every machine knows.
const Host = "localhost"

// Stage is one set-up. Everything it starts and writes ends with Close.
type Stage struct {
	Dir    string // scratch folder
	Binary string // the gateway
	Cert   string // certificate and key of Host, the same for all fronts
	Key    string

	roots   *x509.CertPool
	running []*Process
}

// New prepares a scratch folder and a certificate.
func New(binary string) (*Stage, error) {
	dir, err := os.MkdirTemp("", "clinicgate-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a scratch folder: %w", err)
	}
	s := &Stage{Dir: dir, Binary: binary, Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if err := s.writeCertificate(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return s, nil
}

// Close stops what runs, latest first, and removes the scratch folder.
func (s *Stage) Close() error {
	for i := len(s.running) - 1; i >= 0; i-- {
		if p := s.running[i]; p.Running() {
			_ = p.Stop()
		}
	}
	return os.RemoveAll(s.Dir)
}

// environment keeps the servers out of the home folder of whoever runs this.
func (s *Stage) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "XDG_DATA_HOME=" + filepath.Join(s.Dir, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(s.Dir, "config"), "TMPDIR=" + s.Dir, "LANG=C.UTF-8"}
}

// Client trusts the stage's certificate, takes every host for 127.0.0.1 and follows no redirect.
func (s *Stage) Client() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12},
			DialContext:     dialLoopback(""),
		},
	}
}

// dialLoopback connects to 127.0.0.1 whatever host is asked for, from the loopback address given, or from any.
func dialLoopback(from string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
}

// URL of a path on the front that listens on addr.
func URL(addr, path string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "https://" + net.JoinHostPort(Host, port) + path
}

// writeCertificate makes a P-256 certificate that signs itself, so that each front does the same TLS work.
func (s *Stage) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "clinicgate benchmark"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), DNSNames: []string{Host, "*.bench.localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(cert)
	if err := writePEM(s.Cert, "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(s.Key, "PRIVATE KEY", private)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// Write puts text into a file of the scratch folder and returns its path.
func (s *Stage) Write(name, text string) (string, error) {
	file := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return file, os.WriteFile(file, []byte(text), 0o600)
}
