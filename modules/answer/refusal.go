package answer

import (
	"net/http"
	"time"

	"clinicgate/modules/login/page"
)

// Refusal is one way in which the gateway says no, or that it cannot decide. The
// list below is all there are: one file maps causes to answers (RFC 9457 for
// programs, a page for people). 401 and 403 mean "decided: no", 503 means "could
// not decide".
type Refusal struct {
	status int
	// reason is the stable code in the problem document and in the audit log.
	reason string
	// title is the constant text for programs.
	title string
	// kind is the page for people. A 401 has none: people are redirected instead.
	kind page.Kind
	// retryAfter is rounded to seconds; 0 sends no Retry-After.
	retryAfter time.Duration
	// quiet refusals are not audited: they are not about a person's rights.
	quiet bool
}

// Reason is the refusal's stable code.
func (r *Refusal) Reason() string { return r.reason }

// RetryAfter is when to come back, 0 when that is not said.
func (r *Refusal) RetryAfter() time.Duration { return r.retryAfter }

// Status is the HTTP status.
func (r *Refusal) Status() int { return r.status }

// What the door refuses.
var (
	UnknownHost    = &Refusal{status: http.StatusMisdirectedRequest, kind: page.UnknownAddress, reason: "unknown_host", title: "This address is not served here."}
	Ambiguous      = &Refusal{status: http.StatusBadRequest, kind: page.NotUnderstood, reason: "ambiguous_request", title: "The request could be read in more than one way."}
	TooManyCookies = &Refusal{status: http.StatusRequestHeaderFieldsTooLarge, kind: page.HeadersTooLarge, reason: "too_many_cookies", title: "The browser sent too many cookies."}
	ForeignOrigin  = &Refusal{status: http.StatusForbidden, kind: page.Expired, reason: "foreign_origin", title: "The request comes from another site."}
	NoWindow       = &Refusal{status: http.StatusForbidden, kind: page.Expired, reason: "not_a_window", title: "This page is for people: open it in a window of its own."}
	WorkerScope    = &Refusal{status: http.StatusForbidden, kind: page.NotAllowed, reason: "service_worker_scope", title: "A service worker must not cover the sign-in pages: serve its script from a folder."}
	Suspended      = &Refusal{status: http.StatusForbidden, kind: page.Suspended, reason: "practice_suspended", title: "This practice is suspended."}
)

// What the policy refuses.
var (
	SignInNeeded = &Refusal{status: http.StatusUnauthorized, reason: "sign_in_required", title: "Sign in first."}
	StepUpNeeded = &Refusal{status: http.StatusUnauthorized, reason: "insufficient_user_authentication", title: "A stronger or fresher sign-in is needed."}
	// PasswordNeeded is a step-up for somebody whose password is all they have.
	PasswordNeeded = &Refusal{status: http.StatusUnauthorized, reason: "insufficient_user_authentication", title: "A fresher sign-in is needed."}
	EnrolNeeded    = &Refusal{status: http.StatusUnauthorized, reason: "second_factor_missing", title: "Set up a second factor first."}
	Denied         = &Refusal{status: http.StatusForbidden, kind: page.NotAllowed, reason: "denied", title: "Your role does not open this page."}
	Network        = &Refusal{status: http.StatusForbidden, kind: page.NotFromHere, reason: "network_not_allowed", title: "This practice is not reachable from your network."}
)

// What could not be decided, and what others failed to do.
var (
	Undecided    = &Refusal{status: http.StatusServiceUnavailable, kind: page.CannotDecide, reason: "could_not_decide", title: "The gateway cannot decide right now.", retryAfter: 5 * time.Second, quiet: true}
	NotFound     = &Refusal{status: http.StatusNotFound, kind: page.NotFound, reason: "not_found", title: "There is no such page.", quiet: true}
	BadMethod    = &Refusal{status: http.StatusMethodNotAllowed, kind: page.WrongVerb, reason: "method_not_allowed", title: "This address does not take that method.", quiet: true}
	BodyTooBig   = &Refusal{status: http.StatusRequestEntityTooLarge, kind: page.TooLarge, reason: "body_too_large", title: "The request is too large.", quiet: true}
	SSONotReady  = &Refusal{status: http.StatusNotImplemented, kind: page.SSONotSetUp, reason: "sso_not_set_up", title: "Single sign-on is not set up yet."}
	NoSuchWay    = &Refusal{status: http.StatusForbidden, kind: page.MethodNotOffered, reason: "method_not_offered", title: "This practice does not use this way to sign in."}
	BadForm      = &Refusal{status: http.StatusBadRequest, kind: page.NotUnderstood, reason: "bad_form", title: "The form could not be read."}
	SlowForm     = &Refusal{status: http.StatusRequestTimeout, kind: page.TooSlow, reason: "form_too_slow", title: "The form took too long to arrive.", quiet: true}
	BrokenBody   = &Refusal{status: http.StatusBadRequest, kind: page.NotUnderstood, reason: "broken_body", title: "The request's body ended before its time or could not be read.", quiet: true}
	HeaderTooBig = &Refusal{status: http.StatusRequestHeaderFieldsTooLarge, kind: page.HeadersTooLarge, reason: "headers_too_large", title: "The request headers are too large.", quiet: true}
	NoBackend    = &Refusal{status: http.StatusBadGateway, kind: page.BackendDown, reason: "backend_unreachable", title: "The clinical system does not answer.", retryAfter: 5 * time.Second, quiet: true}
	SlowBackend  = &Refusal{status: http.StatusGatewayTimeout, kind: page.BackendSlow, reason: "backend_timeout", title: "The clinical system does not answer in time.", retryAfter: 5 * time.Second, quiet: true}
	Failed       = &Refusal{status: http.StatusInternalServerError, kind: page.Internal, reason: "internal", title: "Something went wrong.", quiet: true}
)

// ofStatus maps what Caddy or reverse_proxy failed with to a refusal.
func ofStatus(status int) *Refusal {
	for _, known := range []*Refusal{
		Ambiguous, NotFound, BadMethod, BodyTooBig, UnknownHost, HeaderTooBig, NoBackend, SlowBackend, Undecided, Denied,
	} {
		if known.status == status {
			return known
		}
	}
	if status >= 400 && status < 500 {
		return Ambiguous
	}
	return Failed
}
