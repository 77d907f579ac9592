// Package enforce decides every request that is not for the gateway itself: cookie,
// session, policy, and then allow, sign in, step up or deny.
package enforce

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/gateway/core"
	"clinicgate/gateway/session"
	"clinicgate/modules/answer"
	"clinicgate/modules/app"
	"clinicgate/modules/exchange"
	"clinicgate/policy"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler implements http.handlers.practice_enforce.
type Handler struct {
	core    *core.Core
	answers *answer.Answers
}

// CaddyModule names the module.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.practice_enforce", New: func() caddy.Module { return new(Handler) }}
}

// Provision takes the core from the clinicgate app.
func (h *Handler) Provision(ctx caddy.Context) error {
	c, err := app.Core(ctx)
	if err != nil {
		return err
	}
	h.core, h.answers = c, answer.New(c)
	return nil
}

// ServeHTTP lets a request pass only with a decision that allows it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := exchange.Of(r.Context())
	if x == nil || x.Practice == nil {
		return h.answers.Refuse(w, r, answer.Failed)
	}
	live, err := h.session(r, x)
	if err != nil {
		// "I could not look" is not "there is none": the cookie stays, nobody is sent to
		// the sign-in page (THREATS C10).
		return h.answers.Undecided(w, r, err)
	}
	if live != nil && answer.IsForeign(r) {
		return h.answers.Refuse(w, r, answer.ForeignOrigin)
	}
	decision := h.decide(w, r, x, live)
	switch decision.Verdict() {
	case policy.Allow:
		if live != nil {
			live.Attend(h.core.Now())
		}
		if decision.WouldStop() != "" {
			h.answers.NoteReport(r, decision)
		}
		return next.ServeHTTP(w, r)
	case policy.SignIn:
		return h.sendTo(w, r, answer.SignInNeeded, decision, answer.LoginURL(r))
	case policy.StepUp:
		if decision.Need() <= policy.AAL1 && !live.Subject().HasSecondFactor {
			return h.sendTo(w, r, answer.PasswordNeeded, decision, answer.PasswordURL(r))
		}
		return h.sendTo(w, r, answer.StepUpNeeded, decision, answer.StepUpURL(r))
	case policy.Enrol:
		return h.sendTo(w, r, answer.EnrolNeeded, decision, answer.EnrolURL(r))
	}
	return h.answers.RefuseBecause(w, r, answer.Denied, string(decision.Reason()))
}

// session returns the session of the cookie; nil means that there is none.
func (h *Handler) session(r *http.Request, x *exchange.Exchange) (*session.Live, error) {
	if x.Cookies.Session == "" {
		return nil, nil
	}
	live, err := h.core.Sessions.Lookup(r.Context(), x.Sessions(), x.Cookies.Session)
	if errors.Is(err, session.ErrNone) {
		return nil, nil
	}
	return live, err
}

// decide asks the policy and binds the answer to exactly this request.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, live *session.Live) policy.Decision {
	var subject *policy.Subject
	if live != nil {
		subject = live.Subject()
	}
	decision := x.Practice.Policy.Decide(subject, policy.Request{
		Method: r.Method, Path: x.Path, Client: x.Client, Now: h.core.Now(),
	})
	x.Decide(w, r, live, decision)
	return decision
}

// sendTo redirects a person and refuses a program (THREATS C11).
func (h *Handler) sendTo(w http.ResponseWriter, r *http.Request, refusal *answer.Refusal, d policy.Decision, where string) error {
	if !answer.IsNavigation(r) {
		return h.answers.RefuseBecause(w, r, refusal, string(d.Reason()))
	}
	h.answers.Note(r, refusal, string(d.Reason()))
	answer.Redirect(w, where)
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
