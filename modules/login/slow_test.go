package login_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"clinicgate/modules/exchange"
	"clinicgate/modules/login/page"
)

// THREATS D2: a form that never ends is not waited for, over any protocol. The wait is
// as short as can be: the test ends with the answer, not with a clock.
func TestSlowFormIsNotWaitedFor(t *testing.T) {
	g := newGate(t, time.Millisecond)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, "acacia", exchange.Cookies{}) })
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig

	over3 := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: server.TLS.Certificates})}
	quic, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = over3.Serve(quic) }()
	t.Cleanup(func() { _ = over3.Close() })
	client3 := &http3.Transport{TLSClientConfig: trusted}
	t.Cleanup(func() { _ = client3.Close() })

	for name, c := range map[string]struct {
		url    string
		client http.RoundTripper
		proto  int
	}{
		"HTTP/1.1": {server.URL, &http.Transport{TLSClientConfig: trusted.Clone()}, 1},
		"HTTP/2":   {server.URL, &http.Transport{TLSClientConfig: trusted.Clone(), ForceAttemptHTTP2: true}, 2},
		"HTTP/3":   {"https://" + quic.LocalAddr().String(), client3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			body, typing := io.Pipe()
			req := httptest.NewRequest(http.MethodPost, c.url+"/.gate/login", io.MultiReader(strings.NewReader("email="), body)).WithContext(ctx)
			req.RequestURI = ""
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Accept", "text/html")
			res, err := c.client.RoundTrip(req)
			if err != nil {
				_ = typing.Close()
				t.Fatal(err)
			}
			defer res.Body.Close()
			defer typing.Close()
			text, err := io.ReadAll(res.Body)
			if res.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(text), "too long") || err != nil {
				t.Errorf("%s, want 408 and a page that says so: %.300s, %v", res.Status, text, err)
			}
			if res.ProtoMajor != c.proto {
				t.Errorf("over HTTP/%d", res.ProtoMajor)
			}
			if got := res.Close; got != (c.proto == 1) {
				t.Errorf("the connection is closed: %t", got)
			}
			if got := res.Header.Get("Content-Type"); got != page.ContentType {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}
