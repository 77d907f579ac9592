package answer

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/modules/app"
	"clinicgate/modules/exchange"
)

func init() { caddy.RegisterModule(ErrorHandler{}) }

// ErrorHandler implements http.handlers.practice_error, the error route of a site:
// what Caddy or reverse_proxy failed with becomes an answer like any other, with
// HSTS and without the error's own text.
type ErrorHandler struct{ answers *Answers }

// CaddyModule names the module.
func (ErrorHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.practice_error", New: func() caddy.Module { return new(ErrorHandler) }}
}

// Provision takes the core from the clinicgate app.
func (h *ErrorHandler) Provision(ctx caddy.Context) error {
	c, err := app.Core(ctx)
	if err != nil {
		return err
	}
	h.answers = New(c)
	return nil
}

// ServeHTTP answers for an error that another handler returned.
func (h *ErrorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	Begin(w, r)
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	return h.answers.Failed(w, r, err)
}

// Failed answers for an error that a handler returned.
func (a *Answers) Failed(w http.ResponseWriter, r *http.Request, err error) error {
	refusal := ofError(r, err)
	if refusal == Failed {
		a.core.Log().Error("cannot answer", "cause", withoutAddress(err))
	}
	return a.Refuse(w, r, refusal)
}

// withoutAddress says where Caddy failed and not with what: its texts may hold the
// address of a page. Our own never do.
func withoutAddress(err error) string {
	var failed caddyhttp.HandlerError
	switch {
	case errors.As(err, &failed):
		return failed.Trace
	case err != nil:
		return err.Error()
	}
	return "nothing failed: practice_error stands among the handlers"
}

// ofError finds the refusal for an error. A 503 from the proxy is about the backend,
// one from anywhere else about our own state.
func ofError(r *http.Request, err error) *Refusal {
	status := http.StatusInternalServerError
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) {
		status = failed.StatusCode
	}
	if status == http.StatusServiceUnavailable {
		if _, passed := exchange.Of(r.Context()).Passed(r); passed {
			return NoBackend
		}
	}
	return ofStatus(status)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*ErrorHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*ErrorHandler)(nil)
)
