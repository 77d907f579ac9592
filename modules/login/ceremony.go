package login

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/session"
	"clinicgate/modules/login/page"
	"clinicgate/modules/practice"
	"clinicgate/policy"
)

// flowLife is how long a sign-in may take between password and code.
const flowLife = 10 * time.Minute

// afterPassword goes on with a right password: to the code, to enrolment, or in.
func (h *Handler) afterPassword(v *visit, person account.Person) error {
	now := v.now()
	proved := [4]time.Time{policy.AAL1: now}
	if v.hasApp(person) {
		return h.beginFlow(v, person, "/.gate/login/totp")
	}
	subject := policy.Subject{
		UserID: person.ID, Roles: person.Roles, Level: policy.AAL1, ProvedAt: proved, GraceUntil: person.GraceUntil,
	}
	decision := v.policy().Baseline(&subject, v.request())
	switch decision.Verdict() {
	case policy.Allow:
		where := v.returnPath()
		if !decision.GraceUntil().IsZero() {
			return h.enter(v, person, proved, []string{"pwd"}, "/.gate/enrol/totp"+where.query())
		}
		return h.enter(v, person, proved, []string{"pwd"}, where.String())
	case policy.Enrol, policy.StepUp:
		return h.beginFlow(v, person, "/.gate/enrol/totp")
	}
	// A right password that opens nothing, for lack of a role: to the outside it looks
	// like a wrong one.
	if err := v.record(v.event(audit.SignIn, "refused_"+string(decision.Reason()), person.ID)); err != nil {
		return v.undecided(err)
	}
	return v.showSignInAgain(http.StatusUnauthorized, page.WrongDetails, 0)
}

// beginFlow remembers the right password on the server and sends the browser to the
// next page. There is no session yet, so there is nothing a half sign-in could open
// (THREATS F3).
func (h *Handler) beginFlow(v *visit, person account.Person, next string) error {
	token, err := h.core.Flows.Begin(v.r.Context(), v.id(), session.Flow{
		User: person.ID, ProvedAt: [4]time.Time{policy.AAL1: v.now()}, AMR: []string{"pwd"}, Return: v.returnPath().String(),
	})
	if err != nil {
		return v.undecided(err)
	}
	setCookie(v.w, practice.FlowCookie, token.Reveal(), flowLife)
	return v.redirect(next)
}

// enter records the sign-in and then makes the session, in that order: a sign-in
// that the audit log does not hold never takes effect (THREATS A4).
func (h *Handler) enter(v *visit, person account.Person, proved [4]time.Time, amr []string, where string) error {
	id := session.NewID()
	e := v.event(audit.SignIn, "signed_in", person.ID)
	e.Detail["session"], e.Detail["amr"] = id.String(), strings.Join(amr, " ")
	replaced, err := v.session()
	if err != nil {
		return v.undecided(err)
	}
	if replaced != nil {
		e.Detail["replaced_session"] = replaced.ID().String()
	}
	if err := v.record(e); err != nil {
		return v.undecided(err)
	}
	token, _, err := h.core.Sessions.Create(v.r.Context(), v.x.Sessions(), session.SignIn{
		ID: id, User: person.ID, ProvedAt: proved, AMR: amr, Agent: v.r.UserAgent(), Addr: v.x.Client,
	})
	switch {
	case errors.Is(err, session.ErrRefused):
		return v.redirect("/.gate/login")
	case err != nil:
		return v.undecided(err)
	}
	h.endReplaced(v, replaced)
	setSessionCookie(v.w, token.Reveal())
	dropCookie(v.w, practice.FlowCookie)
	h.rememberDevice(v, person.ID)
	h.core.Metrics.SignIns.WithLabelValues("signed_in").Inc()
	return v.redirect(where)
}

// endReplaced ends the session that the browser brought along: the id changes at
// every sign-in, and the next person at a shared workstation leaves nothing of the
// one before (THREATS C3; TestSecondPersonSignsInOverTheFirst).
func (h *Handler) endReplaced(v *visit, live *session.Live) {
	if live == nil {
		return
	}
	if err := h.core.Sessions.End(v.r.Context(), live); err != nil {
		h.core.Log().Warn("a replaced session could not be ended", "practice", v.id(), "session", live.ID())
	}
}

// rememberDevice marks the browser as one that this account signed in from. It only
// eases the sign-in limits, so a failure is no reason to refuse the sign-in.
func (h *Handler) rememberDevice(v *visit, person string) {
	token, err := h.core.Accounts.RememberDevice(v.r.Context(), v.id(), person, v.x.Cookies.Device)
	if err != nil {
		h.core.Log().Warn("a device could not be remembered", "practice", v.id())
		return
	}
	setCookie(v.w, practice.DeviceCookie, token, deviceLife)
}
