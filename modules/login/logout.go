package login

import (
	"errors"
	"net/http"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/session"
	"clinicgate/modules/answer"
	"clinicgate/modules/login/page"
	"clinicgate/modules/practice"
)

// showLogout is GET /.gate/logout: a button. A link or an image of another site must
// not be able to sign anybody out.
func (h *Handler) showLogout(v *visit) error {
	live, err := v.session()
	if err != nil {
		return v.undecided(err)
	}
	if live == nil {
		return v.redirect("/.gate/login")
	}
	return v.show(http.StatusOK, page.ConfirmLogout{
		Base: answer.Base(v.x), Email: live.Person().Email, Return: v.returnPath().String(),
	})
}

// logout is POST /.gate/logout: the session ends on the server (THREATS C4), open
// streams with it, and only then the cookie goes. It also ends a sign-in that was only
// begun: the "Not you?" of the pages that ask for a code (TestNotYouEndsTheSignIn).
func (h *Handler) logout(v *visit) error {
	live, err := v.session()
	if err != nil {
		return v.undecided(err)
	}
	if live != nil {
		e := v.event(audit.SignOut, "signed_out", live.Person().ID)
		e.Subject = live.ID().String()
		if err := v.record(e); err != nil {
			return v.undecided(err)
		}
		if err := h.core.Sessions.End(v.r.Context(), live); err != nil {
			return v.undecided(err)
		}
	}
	// A sign-in that was begun ends too: a copy of its cookie must not finish it.
	if v.x.Cookies.Flow != "" {
		if _, err := h.core.Flows.Consume(v.r.Context(), v.id(), v.x.Cookies.Flow); err != nil && !errors.Is(err, session.ErrNone) {
			return v.undecided(err)
		}
	}
	dropCookie(v.w, practice.SessionCookie)
	dropCookie(v.w, practice.FlowCookie)
	// What the person saw is not to be seen with the back button either, which asks
	// nobody (W3C Clear Site Data; TestSignOutEmptiesTheCache).
	v.w.Header().Set("Clear-Site-Data", `"cache"`)
	if live == nil && v.x.Cookies.Flow != "" {
		return v.redirect("/.gate/login") // nobody had signed in
	}
	return v.redirect("/.gate/login?signed_out=1")
}
