package forward

import (
	"net/http"
	"strings"

	"clinicgate/modules/answer"
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
// reflected under any name that the platform gave them (THREATS H9,
// TestBackendPlantsGatewayState, TestBackendReflectsAliases).
func cleanAnswer(h http.Header, aliases map[string]bool) {
	for name := range h {
		if ours[name] || aliases[name] {
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

// receive cleans the answer and keeps hold of it until it has been passed on.
func (t *Transport) receive(res *http.Response, h *held) (*http.Response, error) {
	if refused := t.refused(res, h); refused != nil {
		_ = res.Body.Close()
		h.done()
		return refused, nil
	}
	cleanAnswer(res.Header, t.core.ReservedAliases())
	if live := h.x.Live(); live != nil {
		keepPrivate(res.Header)
		live.Answered(t.core.Now())
	}
	res = withoutTrailers(res)
	h.keep(res)
	return res, nil
}

// refused is what the browser gets instead of an answer that may not pass, or nil.
func (t *Transport) refused(res *http.Response, h *held) *http.Response {
	if h.cut.Load() {
		return t.refuseCut(h)
	}
	if !isFinal(res.StatusCode) && !(res.StatusCode == http.StatusSwitchingProtocols && h.x.WebSocket) {
		t.log.Warn("backend answered with a status that is none, or switched protocols unasked",
			"practice", h.x.Practice.ID, "request", h.x.ID, "status", res.StatusCode)
		return t.answers.Response(h.request, answer.NoBackend, "backend_status", "")
	}
	challenge, asked := stepUpChallenge(res)
	if !asked || h.x.Live() == nil {
		return nil
	}
	refusal, address := challenge.refusal(h.x.Live().Subject(), t.core.Now())
	where := ""
	if address != nil {
		where = address(h.request)
	}
	return t.answers.Response(h.request, refusal, challenge.reason(), where)
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
