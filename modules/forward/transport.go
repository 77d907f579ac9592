// Package forward is the last room before the backend: it refuses to send what
// carries no Allow decision, writes the identity headers, and keeps hold of long
// exchanges so that the end of a session ends them too.
package forward

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"clinicgate/gateway/core"
	"clinicgate/modules/answer"
	"clinicgate/modules/app"
	"clinicgate/modules/exchange"
)

func init() { caddy.RegisterModule(Transport{}) }

// Transport implements http.reverse_proxy.transport.practice. It has all fields of
// Caddy's own HTTP transport and adds what makes it the gateway's.
type Transport struct {
	reverseproxy.HTTPTransport

	core    *core.Core
	answers *answer.Answers
	log     *slog.Logger

	prepared *prepared
}

// CaddyModule names the module.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.practice", New: func() caddy.Module { return new(Transport) }}
}

// Provision opens the connection pool. The pool ignores HTTP_PROXY and the like,
// and leaves compression to browser and backend, so that a download passes as it is.
func (t *Transport) Provision(ctx caddy.Context) (err error) {
	if t.core, err = app.Core(ctx); err != nil {
		return err
	}
	t.answers, t.log = answer.New(t.core), ctx.Slogger()
	if t.NetworkProxyRaw == nil {
		t.NetworkProxyRaw = []byte(`{"from":"none"}`)
	}
	if t.Compression == nil {
		t.Compression = new(bool)
	}
	t.prepared = new(prepared)
	if t.core != nil { // nil when the config is only validated
		go t.prepared.run(ctx, t.core.Now)
	}
	return t.HTTPTransport.Provision(ctx)
}

// RoundTrip sends req when modules/enforce has allowed exactly this request.
// reverse_proxy hands over a clone of its own, whose headers may be written to.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchange.Of(req.Context())
	h := t.hold(req, x)
	hideFromLogger(req)
	res, err := t.send(h)
	if err == nil && x != nil {
		handOver(res, x.Answer)
	}
	return res, err
}

func (t *Transport) send(h *held) (*http.Response, error) {
	decision, passed := h.x.Passed(h.request)
	if !passed {
		t.core.Metrics.Undecided.Inc()
		t.log.Error("refused to forward a request that carries no decision: check the order of handlers")
		return t.answers.Response(h.request, answer.Failed, "forward_without_decision", ""), nil
	}
	if err := t.identify(h.request.Header, h.x, decision); err != nil {
		t.log.Error("cannot sign the assertion", "practice", h.x.Practice.ID, "reason", err)
		return t.answers.Response(h.request, answer.Undecided, "no_signing_key", ""), nil
	}
	if h.begin(); h.cut.Load() {
		return t.refuseCut(h), nil
	}
	res, err := t.HTTPTransport.RoundTrip(h.request)
	if err != nil {
		h.done()
		return t.failed(h, err)
	}
	return t.receive(res, h)
}

// RequestHeaderOps leaves the Host header alone. Caddy's own transport replaces it by
// the upstream's address when the backend speaks TLS; a backend of several practices
// would then make every address of its answers from that (TestBackendOverTLSSeesTheHost).
func (t *Transport) RequestHeaderOps() *headers.HeaderOps { return nil }

// refuseCut answers an exchange that was cut before the backend had answered. Whether
// the session has ended or only this page is closed to it now, the sign-in page knows
// where to go on from.
func (t *Transport) refuseCut(h *held) *http.Response {
	return t.answers.Response(h.request, answer.SignInNeeded, "ended_meanwhile", answer.LoginURL(h.request))
}

// failed says what became of a request that the backend did not answer. Only when no
// connection came about is that an error: reverse_proxy then tries the next backend
// and leaves this one out for some seconds. A backend that took the request and hung
// up, or thought for too long, gets no second try, which could do a thing twice, and
// stays in use: otherwise whoever finds one page on which it fails could take it away
// from all practices that share it (TestOneFailingPageStopsNobodyElse).
func (t *Transport) failed(h *held, err error) (*http.Response, error) {
	switch {
	case h.cut.Load():
		return t.refuseCut(h), nil
	case h.request.Context().Err() != nil:
		return nil, context.Canceled // the browser has gone
	case h.broken.Load():
		return t.answers.Response(h.request, answer.BrokenBody, answer.BrokenBody.Reason(), ""), nil
	}
	why := cause(err)
	t.log.Warn("backend does not answer", "practice", h.x.Practice.ID, "request", h.x.ID, "reason", why)
	switch why {
	case noConnection:
		return nil, err
	case tooSlow:
		return t.answers.Response(h.request, answer.SlowBackend, answer.SlowBackend.Reason(), ""), nil
	}
	return t.answers.Response(h.request, answer.NoBackend, answer.NoBackend.Reason(), ""), nil
}

// Why a backend does not answer.
const (
	noConnection = "no connection"
	tooSlow      = "timeout"
	brokenOff    = "connection broke"
)

// cause is the reason of a failed round trip without address and path.
func cause(err error) string {
	var dial reverseproxy.DialError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dial):
		return noConnection
	case errors.As(err, &timeout) && timeout.Timeout():
		return tooSlow
	}
	return brokenOff
}

// Interface guards.
var (
	_ caddy.Provisioner         = (*Transport)(nil)
	_ caddy.CleanerUpper        = (*Transport)(nil)
	_ http.RoundTripper         = (*Transport)(nil)
	_ reverseproxy.TLSTransport = (*Transport)(nil)

	_ reverseproxy.RequestHeaderOpsTransport = (*Transport)(nil)
)
