package login

import (
	"errors"
	"net/http"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/limit"
	"clinicgate/modules/answer"
	"clinicgate/modules/login/page"
	"clinicgate/policy"
)

// freshFor is how recent a proof must be for changing a factor (THREATS F4).
const freshFor = 10 * time.Minute

// enrolling finds who may set up an authenticator app now. Somebody half-way through
// a sign-in has just proved the password and has no factor yet. Somebody signed in
// needs a fresh proof of the best they have. where is not empty when they have to
// go there first.
func (v *visit) enrolling() (a applicant, where string, err error) {
	if a, err = v.applicant(); err != nil {
		return a, "", err
	}
	switch {
	case !v.policy().AcceptsFactor("totp"):
		return a, "", errNotOffered
	case a.flow != nil && a.person.HasTOTP:
		return a, "/.gate/login/totp", nil // the password alone never replaces a factor
	case a.flow != nil:
		return a, "", nil
	case a.person.HasTOTP && !v.fresh(a, policy.AAL2):
		return a, "/.gate/login/totp?rd=%2F.gate%2Faccount", nil
	case !a.person.HasTOTP && !v.fresh(a, policy.AAL1):
		return a, "/.gate/login?again=1&rd=%2F.gate%2Faccount", nil
	}
	return a, "", nil
}

// fresh reports a proof of at least the level within freshFor.
func (v *visit) fresh(a applicant, level policy.Level) bool {
	for l := level; l <= policy.AAL2PR; l++ {
		if at := a.live.Subject().ProvedAt[l]; !at.IsZero() && v.now().Sub(at) < freshFor {
			return true
		}
	}
	return false
}

// showEnrolment is GET /.gate/enrol/totp. Asking again shows the same key, so that a
// reload does not make the code that was just scanned worthless.
func (h *Handler) showEnrolment(v *visit) error {
	a, where, err := v.enrolling()
	switch {
	case err != nil:
		return v.noApplicant(err)
	case where != "":
		return v.redirect(where)
	}
	return v.showEnrolmentPage(a, http.StatusOK, page.NoProblem, 0)
}

// ceremony names what the person is in the middle of. The same ceremony is shown the
// same key again; somebody else's half sign-in of the same person never sees it.
func (v *visit) ceremony(a applicant) string {
	if a.flow != nil {
		return v.x.Cookies.Flow
	}
	return a.live.ID().String()
}

// showEnrolmentPage renders QR code and key.
func (v *visit) showEnrolmentPage(a applicant, status int, problem page.Problem, after time.Duration) error {
	enrolment, err := v.h.core.Accounts.BeginTOTP(v.r.Context(), v.id(), a.person.ID, v.policy().Name(), v.ceremony(a))
	if err != nil {
		return v.undecided(err)
	}
	if after > 0 {
		answer.SetRetryAfter(v.w, after)
	}
	view := page.Enrol{
		Base: answer.Base(v.x), Email: a.person.Email, Secret: enrolment.Secret.Reveal(), URI: enrolment.URI.Reveal(),
		Replacing: a.person.HasTOTP, Problem: problem, RetryAfter: after,
	}
	if a.live != nil { // a sign-in in progress knows by itself where it leads
		view.Return = v.returnTo(a).String()
	}
	if a.live != nil && !a.person.HasTOTP {
		// "Not now" is offered only where it leads somewhere.
		if d := v.policy().Baseline(a.live.Subject(), v.request()); d.Allowed() {
			view.NotNow, view.Deadline = v.returnTo(a).String(), d.GraceUntil()
		}
	}
	return v.show(status, view)
}

// confirmEnrolment is POST /.gate/enrol/totp: the first code shows that the app works.
func (h *Handler) confirmEnrolment(v *visit) error {
	a, where, err := v.enrolling()
	switch {
	case err != nil:
		return v.noApplicant(err)
	case where != "":
		return v.redirect(where)
	}
	code := v.field("code")
	if !account.LooksLikeCode(code) {
		return v.showEnrolmentPage(a, http.StatusUnprocessableEntity, page.MissingCode, 0)
	}
	attempt, err := v.attempt(limit.KindTOTP, a.person.Email)
	if err != nil {
		return v.undecided(err)
	}
	if verdict := h.core.Limits.Take(v.r.Context(), attempt); !verdict.Allowed() {
		v.noteLimited(verdict, attempt, a.person.ID)
		return v.showEnrolmentPage(a, http.StatusTooManyRequests, page.TooManyTries, verdict.RetryAfter())
	}
	if err := v.record(v.event(audit.SecondFactor, "enrolment_tried", a.person.ID)); err != nil {
		return v.undecided(err)
	}
	err = h.core.Accounts.ConfirmTOTP(v.r.Context(), v.id(), a.person.ID, code)
	switch {
	case errors.Is(err, account.ErrRefused), errors.Is(err, account.ErrNoEnrolment):
		return v.showEnrolmentPage(a, http.StatusUnauthorized, page.WrongCode, 0)
	case errors.Is(err, account.ErrNotAnnounced):
		// The app is set up and the code used up: asking for another would mislead. Other
		// nodes learn of it when they next read the person.
		h.core.Log().Warn("a new second factor could not be announced", "practice", v.id(), "request", v.x.ID, "reason", err)
	case err != nil:
		h.core.Limits.Return(v.r.Context(), attempt) // a failure of ours is nobody's guess
		return v.undecided(err)
	}
	h.core.Limits.Succeeded(v.r.Context(), attempt)
	if err := v.record(v.event(audit.SecondFactor, "enrolled", a.person.ID)); err != nil {
		return v.undecided(err)
	}
	if a.live != nil && a.person.HasTOTP {
		// Whoever else is signed in with the factor that was replaced is not any more
		// (TestReplacingTheAppEndsOtherSessions).
		if _, err := h.core.Sessions.EndOthers(v.r.Context(), a.live); err != nil {
			return v.undecided(err)
		}
	}
	where = v.returnTo(a).String()
	if a.live != nil && a.person.HasTOTP {
		where = "/.gate/account?done=factor"
	}
	return h.proveSecondFactor(v, a, where)
}
