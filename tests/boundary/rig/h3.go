package rig

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"clinicgate/tests/harness"
)

// sendH3 asks over QUIC. The library writes the frames, so only what it lets pass
// can be said: names of tokens, one authority.
func sendH3(t testing.TB, g *harness.Gateway, r Request) Answer {
	t.Helper()
	transport := &http3.Transport{
		TLSClientConfig: g.TLS(r.SNI),
		Dial: func(ctx context.Context, _ string, config *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, g.Addr, config, q)
		},
	}
	defer transport.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	var interim []Interim
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		interim = append(interim, Interim{code, http.Header(h)})
		return nil
	}})
	req := (&http.Request{
		Method: r.Method, Host: r.Host, URL: &url.URL{Scheme: "https", Host: r.Host, Opaque: r.Target},
		Header: http.Header{},
	}).WithContext(ctx)
	for _, f := range r.Header {
		req.Header[f[0]] = append(req.Header[f[0]], f[1])
	}
	if r.Body != "" || len(r.Trailer) > 0 {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(r.Body)), -1
	}
	for _, f := range r.Trailer {
		if req.Trailer == nil {
			req.Trailer = http.Header{}
		}
		req.Trailer[f[0]] = append(req.Trailer[f[0]], f[1])
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			t.Errorf("no answer within %s", wait)
		}
		return Answer{Interim: interim, Closed: true}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Header: res.Header, Text: string(body), Trailer: res.Trailer, Interim: interim}
}
