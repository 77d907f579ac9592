package login

import (
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/limit"
	"clinicgate/gateway/vault"
	"clinicgate/modules/answer"
	"clinicgate/modules/login/page"
	"clinicgate/modules/practice"
	"clinicgate/policy"
)

// showSignIn is GET /.gate/login. It writes no state, however often it is asked
// (THREATS D5).
func (h *Handler) showSignIn(v *visit) error {
	if refusal := v.methodRefusal(); refusal != nil {
		return v.refuse(refusal)
	}
	live, err := v.session()
	switch {
	case err != nil:
		return v.undecided(err)
	case live != nil && v.r.URL.Query().Has("again"):
		return v.show(http.StatusOK, page.StepUp{
			Base: answer.Base(v.x), Email: live.Person().Email, Proof: page.ProofPassword, Return: v.returnPath().String(),
		})
	case live != nil && v.policy().Baseline(live.Subject(), v.request()).Allowed():
		// Whoever began to sign in over this session has given up: else the session's
		// owner would be asked for the other's code.
		if v.x.Cookies.Flow != "" {
			dropCookie(v.w, practice.FlowCookie)
		}
		return v.redirect(v.returnPath().String())
	}
	view := page.SignIn{Base: answer.Base(v.x), Return: v.returnPath().String()}
	switch {
	case v.r.URL.Query().Has("signed_out"):
		view.Notice = page.NoticeSignedOut
	case v.r.URL.Query().Has("expired"):
		view.Notice = page.NoticeSignInExpired
	case live != nil: // it is there, but the practice now asks for more than it has proved
		view.Notice = page.NoticeSignInAgain
	case v.x.Cookies.Session != "":
		view.Notice = page.NoticeSessionEnded
	}
	return v.show(http.StatusOK, view)
}

// methodRefusal says why a practice has no password sign-in; nil when it has one.
func (v *visit) methodRefusal() *answer.Refusal {
	switch {
	case v.policy().AllowsMethod("password") && v.policy().SSO().Stage != policy.Enforced:
		return nil
	case v.policy().AllowsMethod("sso"):
		return answer.SSONotReady
	}
	return answer.NoSuchWay
}

// request is what the policy's baseline looks at.
func (v *visit) request() policy.Request {
	return policy.Request{Method: v.r.Method, Path: v.x.Path, Client: v.x.Client, Now: v.now()}
}

// signIn is POST /.gate/login: budget, password, and then what the policy asks for.
func (h *Handler) signIn(v *visit) error {
	if refusal := v.methodRefusal(); refusal != nil {
		return v.refuse(refusal)
	}
	v.again = v.showSignInAgain
	typed, password := v.field("email"), vault.NewSecret(v.field("password"))
	if typed == "" || password.IsEmpty() {
		return v.showSignInAgain(http.StatusUnprocessableEntity, page.MissingDetails, 0)
	}
	email, err := account.CanonicalEmail(typed)
	if err != nil {
		email = typed // not an address: it goes the same way and is refused like any other
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return v.busy()
	}
	attempt, err := v.attempt(limit.KindPassword, email)
	if err != nil {
		return v.undecided(err)
	}
	if verdict := h.core.Limits.Take(v.r.Context(), attempt); !verdict.Allowed() {
		v.noteLimited(verdict, attempt, "")
		return v.showSignInAgain(http.StatusTooManyRequests, page.TooManyTries, verdict.RetryAfter())
	}
	person, err := h.core.Accounts.CheckPassword(v.r.Context(), v.id(), email, password)
	switch {
	case errors.Is(err, account.ErrRefused):
		h.core.Metrics.SignIns.WithLabelValues("refused").Inc()
		if err := v.recordRefusedPassword(email, person.ID); err != nil {
			return v.undecided(err)
		}
		return v.showSignInAgain(http.StatusUnauthorized, page.WrongDetails, 0)
	case errors.Is(err, account.ErrBusy):
		h.core.Limits.Return(v.r.Context(), attempt)
		return v.busy()
	case err != nil:
		h.core.Limits.Return(v.r.Context(), attempt) // a failure of ours is nobody's guess
		return v.undecided(err)
	}
	h.core.Limits.Succeeded(v.r.Context(), attempt)
	return h.afterPassword(v, person)
}

// maxSignIns is how many passwords a node looks at at once, most of them waiting for a
// processor. It stays below every budget of package limit, so that people who sign in
// at the same moment with right passwords are told to wait (503), never that they
// tried too often (THREATS L5).
const maxSignIns = 64

// retryBusy is how long people are asked to wait when all places are taken: 2 to 9 s, so
// that a crowd that is turned away at one moment does not come back at one.
func retryBusy() time.Duration {
	var die [1]byte
	rand.Read(die[:]) // never fails (crypto/rand since Go 1.24)
	return time.Duration(2+die[0]%8) * time.Second
}

// busy asks to come back in a moment. Nothing was looked at and nothing is counted
// against anybody.
func (v *visit) busy() error {
	v.h.core.Metrics.SignIns.WithLabelValues("busy").Inc()
	return v.showSignInAgain(http.StatusServiceUnavailable, page.Busy, retryBusy())
}

// attempt is what the budgets are taken for. A browser that this account has signed
// in from before draws on budgets of its own (THREATS L2).
func (v *visit) attempt(kind limit.Kind, email string) (limit.Attempt, error) {
	a := limit.Attempt{Practice: v.id(), Account: email, Addr: v.x.Client, Kind: kind}
	if v.x.Cookies.Device == "" {
		return a, nil
	}
	known, err := v.h.core.Accounts.KnownDevice(v.r.Context(), v.id(), v.x.Cookies.Device, email)
	a.Device = known
	return a, err
}

// recordRefusedPassword records which account somebody tried: by its tag, and by the
// person's id where there is one. Nobody knows who tried. The work is the same for every
// account, existing or not (THREATS L1).
func (v *visit) recordRefusedPassword(email, person string) error {
	tag, err := v.h.core.Accounts.Tag(v.r.Context(), v.id(), email)
	if err != nil {
		return err
	}
	e := v.event(audit.SignIn, "password_refused", "")
	e.Subject, e.Detail["account"] = person, tag
	return v.record(e)
}

// noteLimited records that a budget ran out, and for which account. The budget's name
// is for reviewers only. person is who has proved the password, if anybody: a refusal
// looks nobody up.
func (v *visit) noteLimited(verdict limit.Verdict, attempt limit.Attempt, person string) {
	e := v.event(audit.Refusal, "limited", person)
	e.Detail["budget"] = verdict.Reason()
	if tag, err := v.h.core.Accounts.Tag(v.r.Context(), v.id(), attempt.Account); err == nil {
		e.Detail["account"] = tag
	}
	v.h.core.Audit.Note(v.id(), e)
	v.h.core.Metrics.SignIns.WithLabelValues("limited").Inc()
}

// showSignInAgain renders the form with what went wrong. Status, text and work are
// the same for every account, existing or not (THREATS L1).
func (v *visit) showSignInAgain(status int, problem page.Problem, after time.Duration) error {
	if after > 0 {
		answer.SetRetryAfter(v.w, after)
	}
	return v.show(status, page.SignIn{
		Base: answer.Base(v.x), Email: plainText(v.field("email")), Return: v.returnPath().String(),
		Problem: problem, RetryAfter: after,
	})
}
