package tls_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// isAEAD reports the suites that the gateway may agree on: authenticated encryption,
// and with TLS 1.2 forward secrecy.
func isAEAD(s *tls.CipherSuite) bool {
	aead := strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "CHACHA20_POLY1305")
	return aead && (strings.HasPrefix(s.Name, "TLS_ECDHE_") || s.SupportedVersions[0] == tls.VersionTLS13)
}

// TestEveryAEADSuiteIsTaken: the refusals below mean something only when what should
// work does. The certificate has an ECDSA key, so the RSA suites find no partner.
func TestEveryAEADSuiteIsTaken(t *testing.T) {
	i := served(t)
	taken := 0
	for _, suite := range tls.CipherSuites() {
		if !isAEAD(suite) || strings.Contains(suite.Name, "_RSA_") {
			continue
		}
		config := i.trust(north)
		config.MaxVersion = suite.SupportedVersions[0]
		config.CipherSuites = []uint16{suite.ID}
		conn, err := tls.Dial("tcp", i.https, config)
		if err != nil {
			t.Errorf("%s: %v", suite.Name, err)
			continue
		}
		state := conn.ConnectionState()
		conn.Close()
		if state.Version != config.MaxVersion || config.MaxVersion == tls.VersionTLS12 && state.CipherSuite != suite.ID {
			t.Errorf("%s: agreed on %s with %s", suite.Name, tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
		}
		taken++
	}
	if taken < 6 {
		t.Errorf("tried only %d suites", taken)
	}
}

// TestOldVersionsAreRefused (RFC 8996).
func TestOldVersionsAreRefused(t *testing.T) {
	i := served(t)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		config := i.trust(north)
		config.MinVersion, config.MaxVersion = version, version
		conn, err := tls.Dial("tcp", i.https, config)
		if err == nil {
			conn.Close()
			t.Errorf("%s was agreed on", tls.VersionName(version))
		} else if !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: refused for another reason: %v", tls.VersionName(version), err)
		}
	}
}

// TestEveryOtherSuiteIsRefused offers all 65,536 numbers a suite can have, but for
// those that are right, in every version that a hello can name.
func TestEveryOtherSuiteIsRefused(t *testing.T) {
	i := served(t)
	right := map[uint16]bool{}
	for _, suite := range tls.CipherSuites() {
		right[suite.ID] = isAEAD(suite)
	}
	var wrong []uint16
	for id := range 1 << 16 {
		if !right[uint16(id)] {
			wrong = append(wrong, uint16(id))
		}
	}
	const most = 6000 // of a hello, which one TLS record of 16 KiB has to hold
	for _, version := range []uint16{0x0300, 0x0301, 0x0302, 0x0303} {
		for from := 0; from < len(wrong); from += most {
			offer := wrong[from:min(from+most, len(wrong))]
			if got := i.hello(t, version, offer); got != recordAlert {
				t.Errorf("version %#04x, suites %#04x to %#04x: answered by record type %d", version, offer[0], offer[len(offer)-1], got)
			}
		}
	}
	// The same hello with one right suite is answered by a handshake: what refuses is the offer.
	if got := i.hello(t, 0x0303, append(wrong[:100:100], tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)); got != recordHandshake {
		t.Errorf("a right suite among wrong ones: record type %d", got)
	}
}

// TLS record types (RFC 8446 section 5.1).
const (
	recordAlert     = 21
	recordHandshake = 22
)

// hello sends a ClientHello and returns the type of the first record that comes back.
func (i *install) hello(t *testing.T, version uint16, suites []uint16) byte {
	t.Helper()
	kind, _ := i.record(t, clientHello(version, north, suites, 0))
	return kind
}

// record sends a hello and returns the first record that comes back.
func (i *install) record(t *testing.T, hello []byte) (kind byte, content []byte) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", i.https, wait)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(wait))
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		t.Fatalf("no record: %v", err)
	}
	content = make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(conn, content); err != nil {
		t.Fatalf("half a record: %v", err)
	}
	return header[0], content
}

// clientHello is a hello of RFC 5246 section 7.4.1.2 in one record.
func clientHello(version uint16, sni string, suites []uint16, compression ...byte) []byte {
	var list bytes.Buffer
	_ = binary.Write(&list, binary.BigEndian, suites)
	name := vector(2, append([]byte{0}, vector(2, []byte(sni))...))
	extensions := bytes.Join([][]byte{
		{0, 0}, vector(2, name), // server_name
		{0, 10}, vector(2, vector(2, []byte{0, 23, 0, 24, 0, 29})), // supported_groups
		{0, 11}, vector(2, vector(1, []byte{0})), // ec_point_formats
		{0, 13}, vector(2, vector(2, []byte{4, 3, 5, 3, 8, 4, 4, 1, 2, 3, 2, 1})), // signature_algorithms
	}, nil)
	body := bytes.Join([][]byte{
		binary.BigEndian.AppendUint16(nil, version), make([]byte, 32), {0},
		vector(2, list.Bytes()), vector(1, compression), vector(2, extensions),
	}, nil)
	handshake := append([]byte{1}, vector(3, body)...)
	return append([]byte{recordHandshake, 3, 1}, vector(2, handshake)...)
}

// vector is data behind its length in n bytes.
func vector(n int, data []byte) []byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	return append(length[4-n:], data...)
}

// TestNoCertificateForStrangers: a name that no practice has ends the handshake, and
// 200 in a row leave nothing behind: no certificate, no key, no lock, no order.
func TestNoCertificateForStrangers(t *testing.T) {
	i := served(t)
	before := fmt.Sprint(i.stored(t))
	names := []string{"", stranger, "localhost", "127.0.0.1", "clinic.test", "*.clinic.test", "north.clinic.test.evil.test", "north", "xn--nrth-5qa.clinic.test"}
	for k := range 200 {
		names = append(names, fmt.Sprintf("n%d.%s", k, stranger))
	}
	for _, name := range names {
		config := i.trust(name)
		config.InsecureSkipVerify = true // any certificate at all would be wrong
		conn, err := tls.Dial("tcp", i.https, config)
		if err == nil {
			conn.Close()
			t.Fatalf("the name %q got a certificate for %q", name, conn.ConnectionState().PeerCertificates[0].DNSNames)
		}
		if !strings.HasPrefix(err.Error(), "remote error: tls: ") {
			t.Fatalf("the name %q: not refused by the gateway: %v", name, err)
		}
	}
	if after := fmt.Sprint(i.stored(t)); after != before {
		t.Errorf("the storage held %s, now %s", before, after)
	}
	if log := i.log.String(); strings.Contains(log, stranger) && strings.Contains(log, "obtaining certificate") {
		for _, line := range strings.Split(log, "\n") {
			if strings.Contains(line, stranger) && strings.Contains(line, "obtain") {
				t.Fatalf("an order began: %s", line)
			}
		}
	}
}

// TestNamesInAnySpellingAreOneHost: SNI is compared without case and without the
// trailing dot, and a certificate is made once.
func TestNamesInAnySpellingAreOneHost(t *testing.T) {
	i := served(t)
	for _, name := range []string{north, "NORTH.Clinic.TEST"} {
		config := i.trust(name)
		conn, err := tls.Dial("tcp", i.https, config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close()
	}
	made := 0
	for _, name := range i.stored(t) {
		if strings.Contains(strings.ToLower(name), north) {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d certificates for one host: %v", made, i.stored(t))
	}
}
