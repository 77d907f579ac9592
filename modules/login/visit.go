package login

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/session"
	"clinicgate/modules/answer"
	"clinicgate/modules/exchange"
	"clinicgate/modules/login/page"
	"clinicgate/policy"
)

const (
	// maxForm bounds what a form may send (THREATS D3), in bytes.
	maxForm = 64 << 10
	// formTime bounds how long it may take (THREATS D2): a form is one packet, and
	// sending it slowly is a way to hold what others need.
	formTime = 10 * time.Second
	// workTime bounds what is done about a form once it is here.
	workTime = 15 * time.Second
)

// visit is one request to one of the gateway's own addresses.
type visit struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request
	x *exchange.Exchange

	form url.Values
	// again shows the form that is being worked on once more; nil where there is none.
	again func(status int, problem page.Problem, after time.Duration) error
}

func (v *visit) id() policy.PracticeID  { return v.x.Practice.ID }
func (v *visit) policy() *policy.Policy { return v.x.Practice.Policy }
func (v *visit) now() time.Time         { return v.h.core.Now() }

// refuse answers with a refusal.
func (v *visit) refuse(refusal *answer.Refusal) error { return v.h.answers.Refuse(v.w, v.r, refusal) }

// undecided answers when a store could not be asked: 503, never "no" and never "yes"
// (THREATS C10), with the form and what was typed where there is one.
func (v *visit) undecided(cause error) error {
	if v.again == nil {
		return v.h.answers.Undecided(v.w, v.r, cause)
	}
	v.h.answers.Alarm(v.r, cause)
	return v.again(answer.Undecided.Status(), page.Unavailable, answer.Undecided.RetryAfter())
}

// show renders a page.
func (v *visit) show(status int, view page.Page) error { return answer.WritePage(v.w, status, view) }

// redirect sends the browser to a path of this host.
func (v *visit) redirect(path string) error {
	answer.Redirect(v.w, path)
	return nil
}

// readForm reads the one kind of body that the pages send, or none. ok is false when
// it has answered already.
func (v *visit) readForm() (ok bool, err error) {
	if v.r.ContentLength == 0 {
		return true, nil
	}
	// Every protocol that the gateway speaks has the deadline
	// (TestSlowFormIsNotWaitedFor). It ends with the form, but stays for what is left of
	// one that is refused.
	connection := http.NewResponseController(v.w)
	_ = connection.SetReadDeadline(time.Now().Add(v.h.formTime))
	kind, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return false, v.refuse(answer.BadForm)
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err = v.r.ParseForm()
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return false, v.refuse(answer.BodyTooBig)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, v.refuse(answer.SlowForm)
	case err != nil:
		return false, v.refuse(answer.BadForm)
	}
	_ = connection.SetReadDeadline(time.Time{})
	v.form = v.r.PostForm
	return true, nil
}

// outliveBrowser lets the work on a form go on when the browser that sent it hangs up:
// else a wrong password would go unrecorded, a code be used up without a sign-in, or a
// factor be set up that the audit log does not know
// (TestHangingUpAfterTheFormChangesNothing). What holds a place here is bounded:
// passwords by maxSignIns, everything by workTime.
func (v *visit) outliveBrowser() (done func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), workTime)
	v.r = v.r.WithContext(ctx)
	return cancel
}

// field is a form field that stands exactly once; twice is as good as absent.
func (v *visit) field(name string) string {
	if values := v.form[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// returnPath is where the ceremony is to end: the form's rd, else the address's.
func (v *visit) returnPath() ReturnPath {
	if rd := v.field("rd"); rd != "" {
		return parseReturnPath(rd)
	}
	query, _ := url.ParseQuery(v.r.URL.RawQuery)
	return parseReturnPath(query.Get("rd"))
}

// session is the session of the cookie, nil when there is none. An error is never
// "none": the caller answers 503 with it.
func (v *visit) session() (*session.Live, error) {
	if v.x.Cookies.Session == "" {
		return nil, nil
	}
	live, err := v.h.core.Sessions.Lookup(v.r.Context(), v.x.Sessions(), v.x.Cookies.Session)
	if errors.Is(err, session.ErrNone) {
		return nil, nil
	}
	return live, err
}

// event begins an audit event of this request.
func (v *visit) event(class audit.Class, action, person string) audit.Event {
	return audit.Event{
		Class: class, Action: action, Actor: person, Subject: person, Addr: v.x.Client.String(), Request: v.x.ID,
		Detail: map[string]string{"device": session.AgentLabel(v.r.UserAgent())},
	}
}

// record writes an audit event and returns only when it is on disk. What it is
// about must not take effect when this fails (THREATS A4).
func (v *visit) record(e audit.Event) error {
	return v.h.core.Audit.Append(v.r.Context(), v.id(), e)
}

// plainText bounds what a person typed, for showing it to them again.
func plainText(s string) string {
	if len(s) > 254 {
		return ""
	}
	return strings.TrimSpace(s)
}
