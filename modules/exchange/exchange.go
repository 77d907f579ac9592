// Package exchange is what the gateway knows of one request while it travels:
// written by modules/practice at the door, completed by modules/enforce, read
// by modules/forward in the last room before the backend.
package exchange

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// Exchange is one request as the gateway understood it. The zero Exchange has
// no practice and carries no decision: modules/forward refuses it.
type Exchange struct {
	// Practice is the practice that the host names; never nil after modules/practice.
	Practice *directory.Practice
	// ID is the request id that the backend, the audit log and an error page share.
	ID string
	// Path is the canonical decoded path that every rule is evaluated against.
	Path string
	// Client is the one client address (THREATS X2); invalid when it was not readable.
	Client netip.Addr
	// Cookies are the gateway's own, taken out of the request before anybody else sees them.
	Cookies Cookies
	// Answer are the headers of the answer to the browser, into which modules/forward puts the backend's.
	Answer http.Header
	// WebSocket says that the request is a well-formed WebSocket handshake of the same origin.
	WebSocket bool

	live     *session.Live
	decision policy.Decision
	method   string              // that was decided
	client   http.ResponseWriter // to whom it is answered
}

// Cookies are the values of the gateway's own cookies, "" when absent.
type Cookies struct {
	Session, Flow, Device string
}

const varKey = "clinicgate.exchange"

// Attach binds x to r. The exchange lives in Caddy's variable table of the
// request, which costs one map entry and no copy of the request.
func Attach(r *http.Request, x *Exchange) {
	caddyhttp.SetVar(r.Context(), varKey, x)
}

// Of returns the exchange of a request, or nil when modules/practice has not seen it.
func Of(ctx context.Context) *Exchange {
	x, _ := caddyhttp.GetVar(ctx, varKey).(*Exchange)
	return x
}

// Live is the session behind the request; nil means anonymous.
func (x *Exchange) Live() *session.Live { return x.live }

// Sessions are the limits that the practice's policy sets for its sessions.
func (x *Exchange) Sessions() session.Practice { return core.SessionLimits(x.Practice) }

// Decide records the decision about r's method and x.Path, and who is answered.
func (x *Exchange) Decide(w http.ResponseWriter, r *http.Request, live *session.Live, d policy.Decision) {
	x.client = w
	x.live = live
	x.decision = d
	x.method = r.Method
}

// Passed returns the decision when it allows exactly the request r, which may be a
// clone: the method that was decided, and as the path to be sent the one that every
// rule was asked about. A rewrite anywhere between the door and the backend makes it
// false, before the decision as well as after it, so a wrong order of handlers
// cannot forward something that was never decided (TestWrongOrderLeaksNothing).
func (x *Exchange) Passed(r *http.Request) (policy.Decision, bool) {
	if x == nil || x.Practice == nil || !x.decision.Allowed() || r.Method != x.method || !x.sends(r.URL) {
		return policy.Decision{}, false
	}
	return x.decision, true
}

// StillAllowed reports whether the request would be allowed at the practice as it is
// now, which may have been replaced since the decision or may be gone (nil).
func (x *Exchange) StillAllowed(p *directory.Practice, now time.Time) bool {
	if p == x.Practice {
		return x.decision.Allowed()
	}
	if p == nil || p.Suspended || p.Broken != "" || p.ID != x.Practice.ID || p.Generation != x.Practice.Generation {
		return false
	}
	var subject *policy.Subject
	if x.live != nil {
		if !x.live.Lasts(core.SessionLimits(p), now) {
			return false
		}
		subject = x.live.Subject()
	}
	return p.Policy.Decide(subject, policy.Request{Method: x.method, Path: x.Path, Client: x.Client, Now: now}).Allowed()
}

// StopReading ends the reading of the request's body, also where it waits for its
// sender. Call it only while the request is being served.
func (x *Exchange) StopReading() {
	_ = http.NewResponseController(x.client).SetReadDeadline(time.Unix(1, 0))
}

// sends reports whether u is written to the backend as a spelling of x.Path that
// the door would have let pass.
func (x *Exchange) sends(u *url.URL) bool {
	if u.RawPath == "" || u.RawPath == u.Path {
		return u.Path == x.Path && u.Opaque == ""
	}
	sent, err := policy.CanonicalPath(u.EscapedPath())
	return err == nil && sent == x.Path && u.Opaque == ""
}

// AuthTime is when the person last proved anything in this session: the auth_time
// of OpenID Connect.
func AuthTime(s *policy.Subject) time.Time {
	return slices.MaxFunc(s.ProvedAt[:], time.Time.Compare).UTC()
}
