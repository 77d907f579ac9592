package login

import (
	"errors"
	"net/http"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/limit"
	"clinicgate/gateway/session"
	"clinicgate/modules/answer"
	"clinicgate/modules/login/page"
	"clinicgate/modules/practice"
	"clinicgate/policy"
)

// applicant is whose code is asked for: somebody half-way through a sign-in (flow),
// or somebody signed in who has to prove it again (live). Exactly one is set.
type applicant struct {
	person account.Person
	flow   *session.Flow
	live   *session.Live
}

var (
	// errExpired says that there is neither a sign-in in progress nor a session.
	errExpired = errors.New("no sign-in in progress")
	// errNotOffered says that the practice's policy does not know this way to sign in,
	// or not any more: it may have changed between password and code.
	errNotOffered = errors.New("the policy does not offer this way to sign in")
)

// applicant finds out whose turn it is. A sign-in in progress comes before a
// session: on a shared workstation the next person signs in over the one before.
func (v *visit) applicant() (applicant, error) {
	if v.x.Cookies.Flow != "" {
		flow, err := v.h.core.Flows.Peek(v.r.Context(), v.id(), v.x.Cookies.Flow)
		if err == nil {
			if v.methodRefusal() != nil {
				return applicant{}, errNotOffered
			}
			person, err := v.person(flow.User)
			return applicant{person: person, flow: &flow}, err
		}
		if !errors.Is(err, session.ErrNone) {
			return applicant{}, err
		}
	}
	live, err := v.session()
	if err != nil {
		return applicant{}, err
	}
	if live == nil {
		return applicant{}, errExpired
	}
	person, err := v.person(live.Person().ID)
	return applicant{person: person, live: live}, err
}

// person reads somebody afresh. Whoever was disabled or removed meanwhile has no
// sign-in in progress any more.
func (v *visit) person(id string) (account.Person, error) {
	person, err := v.h.core.Accounts.ByID(v.r.Context(), v.id(), id)
	if errors.Is(err, account.ErrUnknown) || err == nil && person.Disabled {
		return account.Person{}, errExpired
	}
	return person, err
}

// hasApp reports an authenticator app that the practice's policy takes.
func (v *visit) hasApp(person account.Person) bool {
	return person.HasTOTP && v.policy().AcceptsFactor("totp")
}

// returnTo is where the applicant goes afterwards.
func (v *visit) returnTo(a applicant) ReturnPath {
	if a.flow != nil {
		return parseReturnPath(a.flow.Return)
	}
	return v.returnPath()
}

// noApplicant answers when there is nobody to ask.
func (v *visit) noApplicant(err error) error {
	if errors.Is(err, errNotOffered) {
		return v.refuse(answer.NoSuchWay)
	}
	if errors.Is(err, errExpired) {
		dropCookie(v.w, practice.FlowCookie)
		rd := v.returnPath().query()
		if rd == "" {
			return v.redirect("/.gate/login?expired=1")
		}
		return v.redirect("/.gate/login" + rd + "&expired=1")
	}
	return v.undecided(err)
}

// showCode is GET /.gate/login/totp.
func (h *Handler) showCode(v *visit) error {
	a, err := v.applicant()
	if err != nil {
		return v.noApplicant(err)
	}
	switch {
	case !v.hasApp(a.person):
		return v.redirect("/.gate/enrol/totp" + v.returnTo(a).query())
	case a.live != nil && v.returnPath() == ReturnPath{}:
		// Nothing asked for a proof: the back button, after the sign-in.
		return v.redirect("/")
	}
	return v.showCodePage(a, http.StatusOK, page.NoProblem, 0)
}

// showCodePage renders the page for a sign-in or a step-up.
func (v *visit) showCodePage(a applicant, status int, problem page.Problem, after time.Duration) error {
	if after > 0 {
		answer.SetRetryAfter(v.w, after)
	}
	where := v.returnTo(a)
	if a.flow != nil {
		return v.show(status, page.SecondFactor{
			Base: answer.Base(v.x), Email: a.person.Email, Return: where.String(), Problem: problem, RetryAfter: after,
		})
	}
	return v.show(status, page.StepUp{
		Base: answer.Base(v.x), Email: a.person.Email, Area: page.Area(where.path), Return: where.String(),
		Proof: page.ProofCode, Problem: problem, RetryAfter: after,
	})
}

// checkCode is POST /.gate/login/totp.
func (h *Handler) checkCode(v *visit) error {
	defer h.turns.take(v.x.Cookies.Flow)()
	a, err := v.applicant()
	if err != nil {
		return v.noApplicant(err)
	}
	if !v.hasApp(a.person) {
		return v.redirect("/.gate/enrol/totp" + v.returnTo(a).query())
	}
	v.again = func(status int, problem page.Problem, after time.Duration) error {
		return v.showCodePage(a, status, problem, after)
	}
	code := v.field("code")
	if !account.LooksLikeCode(code) {
		return v.showCodePage(a, http.StatusUnprocessableEntity, page.MissingCode, 0)
	}
	attempt, err := v.attempt(limit.KindTOTP, a.person.Email)
	if err != nil {
		return v.undecided(err)
	}
	if verdict := h.core.Limits.Take(v.r.Context(), attempt); !verdict.Allowed() {
		v.noteLimited(verdict, attempt, a.person.ID)
		return v.showCodePage(a, http.StatusTooManyRequests, page.TooManyTries, verdict.RetryAfter())
	}
	err = h.core.Accounts.CheckTOTP(v.r.Context(), v.id(), a.person.ID, code)
	switch {
	case errors.Is(err, account.ErrRefused):
		return h.codeRefused(v, a)
	case err != nil:
		h.core.Limits.Return(v.r.Context(), attempt) // a failure of ours is nobody's guess
		return v.undecided(err)
	}
	h.core.Limits.Succeeded(v.r.Context(), attempt)
	return h.proveSecondFactor(v, a, v.returnTo(a).String())
}

// codeRefused records the wrong code before it says so.
func (h *Handler) codeRefused(v *visit, a applicant) error {
	h.core.Metrics.SignIns.WithLabelValues("code_refused").Inc()
	if err := v.record(v.event(audit.SecondFactor, "code_refused", a.person.ID)); err != nil {
		return v.undecided(err)
	}
	return v.showCodePage(a, http.StatusUnauthorized, page.WrongCode, 0)
}

// proveSecondFactor finishes a sign-in, or raises the session, with a new id in
// either case (THREATS C3).
func (h *Handler) proveSecondFactor(v *visit, a applicant, where string) error {
	if a.live != nil {
		return h.raise(v, a, where)
	}
	flow, err := h.core.Flows.Consume(v.r.Context(), v.id(), v.x.Cookies.Flow)
	switch {
	case errors.Is(err, session.ErrNone):
		return v.noApplicant(errExpired)
	case err != nil:
		return v.undecided(err)
	}
	proved := flow.ProvedAt
	proved[policy.AAL2] = v.now()
	return h.enter(v, a.person, proved, append(flow.AMR, "otp", "mfa"), where)
}

// raise gives the session its new level and the browser the new cookie.
func (h *Handler) raise(v *visit, a applicant, where string) error {
	e := v.event(audit.SecondFactor, "stepped_up", a.person.ID)
	e.Subject = a.live.ID().String()
	if err := v.record(e); err != nil {
		return v.undecided(err)
	}
	token, _, err := h.core.Sessions.Raise(v.r.Context(), v.x.Sessions(), a.live, policy.AAL2, []string{"otp", "mfa"})
	switch {
	case errors.Is(err, session.ErrRotated), errors.Is(err, session.ErrNone):
		return v.redirect(where) // another tab was faster: its cookie is in the browser already
	case err != nil:
		return v.undecided(err)
	}
	setSessionCookie(v.w, token.Reveal())
	return v.redirect(where)
}
