// Package practice is the door: it finds the practice that a request is for,
// refuses what is ambiguous, and takes away everything that a client may not
// tell a backend. What comes after it can rely on the exchange.
package practice

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/gateway/core"
	"clinicgate/modules/answer"
	"clinicgate/modules/app"
	"clinicgate/modules/exchange"
	"clinicgate/policy"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler implements http.handlers.practice, the first handler of the chain.
type Handler struct {
	// HTTPSPort is where plain HTTP requests are redirected to. Empty means 443.
	HTTPSPort int `json:"https_port,omitempty"`

	core    *core.Core
	answers *answer.Answers
}

// CaddyModule names the module.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.practice", New: func() caddy.Module { return new(Handler) }}
}

// Provision takes the core from the clinicgate app.
func (h *Handler) Provision(ctx caddy.Context) error {
	c, err := app.Core(ctx)
	if err != nil {
		return err
	}
	h.core, h.answers = c, answer.New(c)
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		leaveNothingToNetHTTP(ctx, server)
	}
	return nil
}

// ServeHTTP identifies, refuses or cleans, in that order. Nothing of the request
// is believed before the host is known; only what the pages look like, the same for
// all practices, is given to anybody. What a later handler failed with is answered
// here as well: Caddy would write address and headers of the request into its log
// (THREATS A5, TestNoLogTellsWhatWasAskedFor).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := &exchange.Exchange{ID: newRequestID(), Answer: w.Header()}
	exchange.Attach(r, x)
	answer.Begin(w, r)
	if r.TLS != nil && answer.IsAsset(r) {
		return h.answers.Asset(w, r)
	}
	if refusal := h.identify(r, x); refusal != nil {
		return h.answers.Refuse(w, r, refusal)
	}
	if r.TLS == nil {
		return h.redirectToHTTPS(w, r)
	}
	if refusal := h.clean(r, x); refusal != nil {
		return h.answers.Refuse(w, r, refusal)
	}
	if err := next.ServeHTTP(w, r); err != nil {
		return h.answers.Failed(w, r, err)
	}
	return nil
}

// identify fills in practice, path and client address.
func (h *Handler) identify(r *http.Request, x *exchange.Exchange) *answer.Refusal {
	host, ok := hostOf(r)
	if !ok {
		return answer.UnknownHost
	}
	if x.Practice = h.core.Directory.ByHost(host); x.Practice == nil {
		return answer.UnknownHost
	}
	x.Client = clientAddr(r)
	path, err := canonicalTarget(r.RequestURI)
	switch {
	case err != nil, r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		return answer.Ambiguous
	case x.Practice.Broken != "":
		return answer.Undecided
	case x.Practice.Suspended:
		return answer.Suspended
	}
	x.Path = path
	r.URL.RawPath = policy.NormalEncoding(r.URL.RawPath) // what the backend sees is what the rules are asked about
	return nil
}

// clean removes what a client may not say and refuses what cannot be made safe.
func (h *Handler) clean(r *http.Request, x *exchange.Exchange) *answer.Refusal {
	if tooManyCookies(r.Header) {
		return answer.TooManyCookies
	}
	if tooLarge(r) {
		return answer.HeaderTooBig
	}
	if coversSignIn(r.Header, x.Path) {
		return answer.WorkerScope
	}
	cleanHeaders(r, h.core.ReservedAliases())
	tellClient(r, x.Client)
	x.Cookies = takeCookies(r.Header)
	switch upgradeOf(r) {
	case badUpgrade:
		return answer.Ambiguous
	case foreignOrigin:
		return answer.ForeignOrigin
	case goodWebSocket:
		x.WebSocket = true
	}
	return nil
}

// coversSignIn reports the script of a service worker for the whole host. It would
// stand between the browser and the gateway's own pages, outlive the sign-out, and could
// show the next person at the workstation a sign-in page of its own. A script in a folder
// covers that folder (Service Workers section 3.4.3), and modules/forward sees to it that
// no backend widens it (TestServiceWorkerCannotCoverTheSignIn).
func coversSignIn(h http.Header, path string) bool {
	_, worker := h["Service-Worker"]
	return worker && strings.LastIndexByte(path, '/') == 0
}

// redirectToHTTPS sends plain HTTP to the same host; the practice is known by now,
// so the target never is a host that the client made up.
func (h *Handler) redirectToHTTPS(w http.ResponseWriter, r *http.Request) error {
	host, _ := splitPort(r.Host)
	if h.HTTPSPort != 0 && h.HTTPSPort != 443 {
		host += ":" + itoa(h.HTTPSPort)
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Location", "https://"+lower(host)+r.RequestURI)
	w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// canonicalTarget reads the raw request target: origin form only, no fragment, and
// nothing that could end a line or the target itself.
func canonicalTarget(target string) (string, error) {
	path, query, _ := strings.Cut(target, "?")
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return "", errTarget
		}
	}
	return policy.CanonicalPath(path)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
