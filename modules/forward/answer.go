package forward

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"

	"clinicgate/modules/answer"
	"clinicgate/modules/exchange"
)

// ours are headers that only the gateway may send to a browser: what it tells the
// browser about the whole origin, and what it tells the backend about the person,
// which an answer that mirrors its request would give to every script of the page.
var ours = map[string]bool{
	"Strict-Transport-Security": true, "Clear-Site-Data": true, "Alt-Svc": true, "Public-Key-Pins": true,
	"Service-Worker-Allowed": true, "Nel": true,
	"Secure-Session-Registration": true, "Secure-Session-Challenge": true,
	"Sec-Session-Registration": true, "Sec-Session-Challenge": true, "Proxy-Authenticate": true,
	"X-Practice-Id": true, "X-User-Id": true, "X-User-Email": true, "X-User-Name": true, "X-User-Roles": true,
	"X-Auth-Level": true, "X-Auth-Methods": true, "X-Auth-Time": true, "X-Session-Id": true, "X-Gate-Assertion": true,
}

// cleanAnswer removes what a backend may not say in the gateway's name: our
// cookies, a weaker HSTS, wiping the browser's data, our own identity headers
// reflected (THREATS H9, TestBackendPlantsGatewayState).
func cleanAnswer(h http.Header) {
	for name := range h {
		if ours[name] {
			delete(h, name)
		}
	}
	cookies, present := h["Set-Cookie"]
	if !present {
		return
	}
	kept := cookies[:0]
	for _, cookie := range cookies {
		if !namesOwnCookie(cookie) {
			kept = append(kept, hostOnly(cookie))
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = kept
}

// namesOwnCookie reads the name as loosely as the loosest browser.
func namesOwnCookie(setCookie string) bool {
	name, _, _ := strings.Cut(setCookie, "=")
	name = strings.ToLower(strings.Trim(name, " \t\"\x00"))
	return strings.Contains(name, "__host-gate") || strings.Contains(strings.ToLower(setCookie[:min(len(setCookie), 64)]), "__host-gate")
}

// receive cleans the answer and keeps hold of it when it may last.
func (t *Transport) receive(res *http.Response, x *exchange.Exchange, hold *held) (*http.Response, error) {
	if !isFinal(res.StatusCode) && !(res.StatusCode == http.StatusSwitchingProtocols && x.WebSocket) {
		res.Body.Close()
		hold.done()
		t.log.Warn("backend answered with a status that is none, or switched protocols unasked",
			"practice", x.Practice.ID, "request", x.ID, "status", res.StatusCode)
		return t.answers.Response(hold.request, answer.NoBackend, "backend_status", ""), nil
	}
	cleanAnswer(res.Header)
	if x.Live() != nil {
		keepPrivate(res.Header)
	}
	if challenge, asked := stepUpChallenge(res); asked && x.Live() != nil {
		res.Body.Close()
		hold.done()
		return t.answers.Response(hold.request, answer.StepUpNeeded, challenge.reason(), answer.StepUpURL(hold.request)), nil
	}
	res = withoutTrailers(res)
	hold.body(res)
	return res, nil
}

// isFinal reports the statuses that an answer may have (RFC 9110 section 15). Of
// others net/http's server panics, and a switch of protocols that nobody asked for
// would be a tunnel without any decision (THREATS fact 12, TestBrokenBackend).
func isFinal(status int) bool { return status >= 200 && status <= 599 }

// withoutTrailers returns an answer to which net/http adds no trailers when the body
// has ended: it adds them to the response that it made, and this is a copy. A
// trailer could say all that cleanAnswer has removed, and no browser needs one: the
// gateway asks for none (RFC 9110 section 6.5.1).
func withoutTrailers(res *http.Response) *http.Response {
	if res.ContentLength >= 0 && res.Trailer == nil {
		return res // only a chunked body or HTTP/2 can bring any
	}
	out := new(http.Response)
	*out = *res
	out.Trailer = nil
	return out
}

// finalOnly hides from net/http that reverse_proxy wants to hear of interim answers
// (1xx). It would pass them on with whatever headers they have, before any of our
// code sees them (THREATS H9), and without a bound on their number.
type finalOnly struct{ context.Context }

// Value is that of the request's context, but for the trace.
func (c finalOnly) Value(key any) any {
	value := c.Context.Value(key)
	if _, isTrace := value.(*httptrace.ClientTrace); isTrace {
		return nil
	}
	return value
}
