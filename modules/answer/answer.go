// Package answer turns a refusal into a response: a page for people, a problem
// document for programs, constant text for both, and one audit event.
package answer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/core"
	"clinicgate/modules/exchange"
	"clinicgate/modules/login/page"
	"clinicgate/policy"
)

// HSTS is what every answer over TLS carries as Strict-Transport-Security: a year, the
// least that browsers' preload lists take (RFC 6797).
const HSTS = "max-age=31536000; includeSubDomains"

var hsts = []string{HSTS}

// Begin gives every answer what it must carry, whoever writes it: HSTS over TLS, and
// the end of the connection where somebody else could see the end of the request at
// another place, or where the sender waits to be asked for its body. Without that,
// net/http asks for 256 KiB of it before it sends even a refusal
// (TestExpectAndRange).
func Begin(w http.ResponseWriter, r *http.Request) {
	if r.TLS != nil {
		w.Header()["Strict-Transport-Security"] = hsts
	}
	if endsAmbiguously(r) || r.ProtoMajor == 1 && r.Header["Expect"] != nil {
		w.Header()["Connection"] = []string{"close"}
	}
}

// endsAmbiguously reports HTTP/1 requests of which two parsers could see the end at
// different places: a chunked body, beside which net/http removes any
// Content-Length without a word, and all of HTTP/1.0, of which net/http ignores the
// Transfer-Encoding. Nothing behind such a request is read as another one
// (RFC 9112 section 6.1, THREATS D1, TestNothingBehindAnAmbiguousBodyIsServed).
func endsAmbiguously(r *http.Request) bool {
	return r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0)
}

// Answers writes refusals. It needs the core for the audit log and the metrics.
type Answers struct{ core *core.Core }

// New returns the Answers of a core.
func New(c *core.Core) *Answers { return &Answers{core: c} }

// Refuse answers r with a refusal and notes it in the practice's audit log.
func (a *Answers) Refuse(w http.ResponseWriter, r *http.Request, refusal *Refusal) error {
	return a.RefuseBecause(w, r, refusal, refusal.reason)
}

// RefuseBecause is Refuse with the reason that a policy decision gave.
func (a *Answers) RefuseBecause(w http.ResponseWriter, r *http.Request, refusal *Refusal, reason string) error {
	a.Note(r, refusal, reason)
	if refusal.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", wwwAuthenticate(refusal))
	}
	if refusal.retryAfter > 0 {
		SetRetryAfter(w, refusal.retryAfter)
	}
	if refusal == SlowForm && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // the rest of the form may still come (RFC 9110 section 15.5.9)
	}
	x := exchange.Of(r.Context())
	if x == nil {
		Begin(w, r) // the door, which does that, stands in the wrong place (TestWrongOrderLeaksNothing)
	}
	if refusal.status == http.StatusUnauthorized || !WantsPage(r) {
		return WriteProblem(w, refusal.status, problem(r, x, refusal, reason))
	}
	return WritePage(w, refusal.status, failure(r, x, refusal))
}

// Undecided answers 503 because a store could not be asked, and raises the alarm.
func (a *Answers) Undecided(w http.ResponseWriter, r *http.Request, cause error) error {
	a.logUndecided(r, cause)
	return a.Refuse(w, r, Undecided)
}

// Alarm is Undecided for whoever answers by themselves: a log line with the cause,
// which the client never sees, and a metric.
func (a *Answers) Alarm(r *http.Request, cause error) {
	a.logUndecided(r, cause)
	a.Note(r, Undecided, Undecided.reason)
}

func (a *Answers) logUndecided(r *http.Request, cause error) {
	if !errors.Is(r.Context().Err(), context.Canceled) { // nobody waits for an answer any more
		x := exchange.Of(r.Context())
		a.core.Log().Error("could not decide", "practice", x.Practice.ID, "request", x.ID, "cause", cause)
	}
}

// SetRetryAfter says when to come back, in whole seconds and at least one.
func SetRetryAfter(w http.ResponseWriter, after time.Duration) {
	seconds := max(1, int((after+time.Second-1)/time.Second))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// failure is the page of a refusal.
func failure(r *http.Request, x *exchange.Exchange, refusal *Refusal) page.Failure {
	view := page.Failure{Base: Base(x), Kind: refusal.kind, RetryAfter: refusal.retryAfter}
	if r.Method == http.MethodGet {
		view.Reload = refusal.retryAfter > 0
		if refusal.status != http.StatusBadRequest {
			view.Retry = r.URL.RequestURI()
		}
	}
	if x == nil {
		return view
	}
	view.Area = page.Area(x.Path)
	if live := x.Live(); live != nil {
		if view.Reload {
			live.Unattended()
		}
		view.Email, view.Roles = live.Person().Email, live.Person().Roles
	}
	return view
}

// Note records a refusal. It never blocks: repeats are folded into one event.
func (a *Answers) Note(r *http.Request, refusal *Refusal, reason string) {
	a.core.Metrics.Refused(refusal.reason)
	x := exchange.Of(r.Context())
	if refusal.quiet || x == nil || x.Practice == nil { // without a practice there is no log to write to
		return
	}
	a.core.Audit.Note(x.Practice.ID, event(r, x, reason))
}

// NoteHead records the head of a request that was refused before it became one: host is
// the name that TLS was asked for, reason one of modules/connection's.
func (a *Answers) NoteHead(host string, from netip.Addr, reason string) {
	a.core.Metrics.Refused(Ambiguous.reason)
	if p := a.core.Directory.ByHost(host); p != nil {
		a.core.Audit.Note(p.ID, audit.Event{Class: audit.Refusal, Action: Ambiguous.reason, Addr: from.String(), Detail: map[string]string{"head": reason}})
	}
}

// NoteReport records that a rule in stage "report" would have stopped a request
// that passes.
func (a *Answers) NoteReport(r *http.Request, d policy.Decision) {
	x := exchange.Of(r.Context())
	e := event(r, x, string(d.WouldStop()))
	e.Detail["stage"] = "report"
	a.core.Audit.Note(x.Practice.ID, e)
}

// event describes a request that is or would be refused. The query stays out: it may
// hold what somebody searched for.
func event(r *http.Request, x *exchange.Exchange, reason string) audit.Event {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	e := audit.Event{
		Class: audit.Refusal, Action: reason, Addr: x.Client.String(), Request: x.ID,
		Detail: map[string]string{"method": r.Method, "path": path},
	}
	if live := x.Live(); live != nil {
		e.Actor, e.Subject = live.Person().ID, live.ID().String()
	}
	return e
}

// Problem is the document that programs get (RFC 9457).
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Reason   string `json:"reason,omitempty"`
	Request  string `json:"request_id,omitempty"`
	LoginURL string `json:"login_url,omitempty"`
}

func problem(r *http.Request, x *exchange.Exchange, refusal *Refusal, reason string) Problem {
	p := Problem{Type: "about:blank", Title: refusal.title, Status: refusal.status, Code: refusal.reason, Reason: reason}
	if x != nil {
		p.Request = x.ID
	}
	switch refusal {
	case SignInNeeded:
		p.LoginURL = LoginURL(r)
	case StepUpNeeded:
		p.LoginURL = StepUpURL(r)
	case PasswordNeeded:
		p.LoginURL = PasswordURL(r)
	case EnrolNeeded:
		p.LoginURL = EnrolURL(r)
	}
	return p
}

// wwwAuthenticate is the challenge that RFC 9110 wants on every 401, and RFC 9470
// for a step-up.
func wwwAuthenticate(refusal *Refusal) string {
	if refusal == SignInNeeded {
		return `Session realm="clinicgate"`
	}
	return `Session realm="clinicgate", error="insufficient_user_authentication"`
}

// WriteProblem writes a problem document.
func WriteProblem(w http.ResponseWriter, status int, p Problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}

// WritePage renders a page with the headers that every page of the gateway carries.
func WritePage(w http.ResponseWriter, status int, view page.Page) error {
	var body bytes.Buffer
	if err := page.Render(&body, view); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", page.ContentType)
	h.Set("Content-Security-Policy", page.ContentSecurityPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

// Base is what every page shows: the practice, if it is known, and the reference.
func Base(x *exchange.Exchange) page.Base {
	if x == nil {
		return page.Base{}
	}
	base := page.Base{RequestID: x.ID}
	if x.Practice != nil && x.Practice.Policy != nil {
		base.Practice, base.Zone = x.Practice.Policy.Name(), x.Practice.Policy.Timezone()
	}
	return base
}
