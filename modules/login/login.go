// Package login is the gateway's own part of a practice's host, /.gate/: signing in
// with password and code, setting up the second factor, the account page, signing
// out, and what programs ask (session, keys, health).
package login

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/gateway/core"
	"clinicgate/modules/answer"
	"clinicgate/modules/app"
	"clinicgate/modules/exchange"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler implements http.handlers.practice_login.
type Handler struct {
	core    *core.Core
	answers *answer.Answers
	routes  map[string]route
	turns   *turns
	places  chan struct{} // one for each password that is looked at now
	// formTime is how long a browser may take to send a form.
	formTime time.Duration
}

// route is what one address does per method. A nil func does not take the method.
// post begins when the form has been read, and goes on when the browser hangs up.
type route struct {
	get, post func(*visit) error
	// window is for people alone: a script that got into a page of the backend, which is
	// of the same origin, must not read a secret there (THREATS F4).
	window bool
	// anywhere takes requests from outside the practice's network too: what it says
	// is no secret and a backend or a load balancer asks for it.
	anywhere bool
}

// CaddyModule names the module.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.practice_login", New: func() caddy.Module { return new(Handler) }}
}

// Provision takes the core from the clinicgate app.
func (h *Handler) Provision(ctx caddy.Context) error {
	c, err := app.Core(ctx)
	if err != nil {
		return err
	}
	h.open(c)
	return nil
}

// open makes the handler ready to serve with a core.
func (h *Handler) open(c *core.Core) {
	h.core, h.answers = c, answer.New(c)
	h.places = make(chan struct{}, maxSignIns)
	h.turns, h.formTime = new(turns), formTime
	h.routes = map[string]route{
		"login":                {get: h.showSignIn, post: h.signIn},
		"login/totp":           {get: h.showCode, post: h.checkCode},
		"enrol/totp":           {get: h.showEnrolment, post: h.confirmEnrolment, window: true},
		"logout":               {get: h.showLogout, post: h.logout},
		"account":              {get: h.showAccount},
		"account/sessions/end": {post: h.endSessions},
		"session":              {get: h.whoAmI},
		"jwks.json":            {get: h.keys, anywhere: true},
		"health":               {get: h.health, anywhere: true},
	}
}

const prefix = "/.gate/"

// ServeHTTP takes everything below /.gate/ and passes on the rest. The prefix is
// matched in any case, so that no spelling of it ever reaches a backend.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := exchange.Of(r.Context())
	if x == nil || x.Practice == nil {
		return h.answers.Refuse(w, r, answer.Failed)
	}
	if !isOwn(x.Path) {
		return next.ServeHTTP(w, r)
	}
	if len(x.Path) < len(prefix) {
		return h.answers.Refuse(w, r, answer.NotFound)
	}
	return h.serveOwn(w, r, x, x.Path[len(prefix):])
}

// isOwn reports /.gate and everything below it, in any case.
func isOwn(path string) bool {
	const own = "/.gate"
	return len(path) >= len(own) && strings.EqualFold(path[:len(own)], own) && (len(path) == len(own) || path[len(own)] == '/')
}

// serveOwn finds the route and checks what holds for all of them: the practice's
// network, and that a form was sent from one of our own pages (THREATS C8).
func (h *Handler) serveOwn(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, name string) error {
	route, found := h.routes[name]
	switch {
	case !route.anywhere && !x.Practice.Policy.AllowsClient(x.Client):
		return h.answers.Refuse(w, r, answer.Network)
	case !found:
		return h.answers.Refuse(w, r, answer.NotFound)
	}
	serve := route.get
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		serve = route.post
	default:
		serve = nil
	}
	if serve == nil {
		w.Header().Set("Allow", allowed(route))
		return h.answers.Refuse(w, r, answer.BadMethod)
	}
	switch {
	case answer.IsForeign(r):
		return h.answers.Refuse(w, r, answer.ForeignOrigin)
	case route.window && !answer.IsWindow(r):
		return h.answers.Refuse(w, r, answer.NoWindow)
	}
	v := &visit{h: h, w: w, r: r, x: x}
	if r.Method == http.MethodPost {
		if ok, err := v.readForm(); !ok {
			return err
		}
		defer v.outliveBrowser()()
	}
	return serve(v)
}

// allowed is the Allow header of a 405 (RFC 9110 section 10.2.1).
func allowed(r route) string {
	switch {
	case r.get == nil:
		return "POST"
	case r.post == nil:
		return "GET, HEAD"
	}
	return "GET, HEAD, POST"
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
