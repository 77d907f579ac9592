package login

import (
	"net/http"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/session"
	"clinicgate/modules/answer"
	"clinicgate/modules/login/page"
	"clinicgate/policy"
)

// signedIn returns the session, or answers: the sign-in page for nobody, 503 for "I
// do not know".
func (v *visit) signedIn() (live *session.Live, err error) {
	live, err = v.session()
	switch {
	case err != nil:
		return nil, v.undecided(err)
	case live == nil && answer.IsNavigation(v.r):
		return nil, v.redirect(answer.LoginURL(v.r))
	case live == nil:
		return nil, v.refuse(answer.SignInNeeded)
	}
	if refusal, where := v.unmet(live); refusal != nil {
		if where != "" && answer.IsNavigation(v.r) {
			return nil, v.redirect(where)
		}
		return nil, v.refuse(refusal)
	}
	live.Touch(v.now())
	return live, nil
}

// unmet is what keeps a session from the account page, nil when nothing does, and
// where that is put right. A session that has not proved what its practice now asks
// of everybody reaches the factor pages and logout and nothing else, here as behind
// the gateway (THREATS F3; TestSessionBelowTheRuleReachesOnlyTheFactorPages).
func (v *visit) unmet(live *session.Live) (refusal *answer.Refusal, where string) {
	switch v.policy().Baseline(live.Subject(), v.request()).Verdict() {
	case policy.Allow:
		return nil, ""
	case policy.Enrol:
		return answer.EnrolNeeded, answer.EnrolURL(v.r)
	case policy.StepUp:
		return answer.StepUpNeeded, answer.StepUpURL(v.r)
	}
	return answer.Denied, ""
}

// notices are what the account page says after a change, by the query of its address.
var notices = map[string]page.Notice{
	"factor": page.NoticeFactorSet, "session": page.NoticeSessionGone, "others": page.NoticeOthersGone,
}

// showAccount is GET /.gate/account: who am I, my second factor, my sessions.
func (h *Handler) showAccount(v *visit) error {
	live, err := v.signedIn()
	if live == nil {
		return err
	}
	person, err := h.core.Accounts.ByID(v.r.Context(), v.id(), live.Person().ID)
	if err != nil {
		return v.undecided(err)
	}
	records, err := h.core.Sessions.List(v.r.Context(), v.x.Sessions(), person.ID)
	if err != nil {
		return v.undecided(err)
	}
	view := page.Account{
		Base: answer.Base(v.x), Name: person.Name, Email: person.Email, Roles: person.Roles, Now: v.now(),
		Sessions: sessionRows(records, live), Notice: notices[v.r.URL.Query().Get("done")],
		SetUpBy: v.policy().Baseline(live.Subject(), v.request()).GraceUntil(),
	}
	if person.HasTOTP {
		view.Factor = page.FactorApp
	}
	return v.show(http.StatusOK, view)
}

// sessionRows are a person's sessions as the page lists them.
func sessionRows(records []session.Record, live *session.Live) []page.Session {
	rows := make([]page.Session, 0, len(records))
	for _, record := range records {
		rows = append(rows, page.Session{
			ID: record.ID.String(), Device: record.Agent, Addr: record.Addr.String(), SignedIn: record.Created,
			LastSeen: record.LastSeen, Current: record.ID == live.ID(),
		})
	}
	return rows
}

// endSessions is POST /.gate/account/sessions/end: session=ID ends one of one's own,
// all=others ends all but this one. Somebody else's id is as good as unknown.
func (h *Handler) endSessions(v *visit) error {
	live, err := v.signedIn()
	if live == nil {
		return err
	}
	others := v.field("all") == "others"
	one, err := session.ParseID(v.field("session"))
	if err != nil && !others {
		return v.refuse(answer.BadForm)
	}
	records, err := h.core.Sessions.List(v.r.Context(), v.x.Sessions(), live.Person().ID)
	if err != nil {
		return v.undecided(err)
	}
	for _, record := range records {
		if record.ID != one && !(others && record.ID != live.ID()) {
			continue
		}
		e := v.event(audit.Session, "ended_by_owner", live.Person().ID)
		e.Subject = record.ID.String()
		if err := v.record(e); err != nil {
			return v.undecided(err)
		}
		if _, err := h.core.Sessions.EndByPublicID(v.r.Context(), v.id(), record.ID); err != nil {
			return v.undecided(err)
		}
	}
	if others {
		return v.redirect("/.gate/account?done=others")
	}
	return v.redirect("/.gate/account?done=session")
}
