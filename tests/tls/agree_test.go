package tls_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"clinicgate/tests/harness"
)

// TestProtocolsAreAgreedOn (RFC 7301): HTTP/2 where the client can, and nothing but
// HTTP. A client that names only others is told so, not served something else.
func TestProtocolsAreAgreedOn(t *testing.T) {
	i := served(t)
	for name, c := range map[string]struct {
		offer []string
		want  string // "" means that the handshake is refused
	}{
		"both":                 {[]string{"h2", "http/1.1"}, "h2"},
		"both, the other way":  {[]string{"http/1.1", "h2"}, "h2"},
		"old":                  {[]string{"http/1.1"}, "http/1.1"},
		"new":                  {[]string{"h2"}, "h2"},
		"unknown before":       {[]string{"spdy/3", "http/1.1"}, "http/1.1"},
		"older than HTTP/1.1":  {[]string{"http/1.0"}, ""},
		"HTTP/2 in plain":      {[]string{"h2c"}, ""},
		"HTTP/3 on TCP":        {[]string{"h3"}, ""},
		"not HTTP":             {[]string{"ftp"}, ""},
		"challenge for nobody": {[]string{"acme-tls/1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", i.https, i.trust(north, c.offer...))
			if err != nil {
				if c.want != "" || !strings.Contains(err.Error(), "remote error: tls: ") {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			defer conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; c.want == "" || got != c.want {
				t.Errorf("agreed on %q, want %q", got, c.want)
			}
		})
	}
}

// TestNoCompression (RFC 9325 section 3.3, CRIME): a client that can compress is
// answered without, and one that can do nothing else is refused.
func TestNoCompression(t *testing.T) {
	i := served(t)
	suites := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	const none, deflate = 0, 1
	kind, hello := i.record(t, clientHello(tls.VersionTLS12, north, suites, deflate, none))
	if kind != recordHandshake {
		t.Fatalf("answered by record type %d, want a handshake", kind)
	}
	id := int(hello[4+2+32]) // behind header, version and random (RFC 5246 section 7.4.1.3)
	if got := hello[4+2+32+1+id+2]; got != none {
		t.Errorf("agreed on compression %d", got)
	}
	if kind, _ := i.record(t, clientHello(tls.VersionTLS12, north, suites, deflate)); kind != recordAlert {
		t.Errorf("nothing but compression was offered: answered by record type %d, want an alert", kind)
	}
}

// TestNoRenegotiation (RFC 9325 section 3.5): asked for in the middle of a TLS 1.2
// connection it ends the connection. Go's client cannot ask, OpenSSL's can.
func TestNoRenegotiation(t *testing.T) {
	i := served(t)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	command := exec.CommandContext(ctx, "openssl", "s_client", "-connect", i.https, "-servername", north, "-tls1_2")
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := new(harness.Log)
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatalf("%v: install Debian's package openssl (tests/run does)", err)
	}
	// Once it is connected, "R" means to renegotiate.
	i.await(t, func() error {
		if !strings.Contains(said.String(), "Extended master secret") {
			return fmt.Errorf("openssl is not connected: %s", said)
		}
		return nil
	})
	_, _ = io.WriteString(input, "R\n")
	err = command.Wait()
	if text := said.String(); err == nil || ctx.Err() != nil || !strings.Contains(text, "RENEGOTIATING") || !strings.Contains(text, "SSL alert number") {
		t.Errorf("openssl ended with %v and said: %s", err, text[max(0, strings.LastIndex(text, "---")):])
	}
}
