package forward

import (
	"net/http"
	"strings"

	"clinicgate/modules/answer"
	"clinicgate/modules/exchange"
)

// ours are headers that only the gateway may send to a browser.
var ours = []string{
	"Strict-Transport-Security", "Clear-Site-Data", "Secure-Session-Registration",
	"Secure-Session-Challenge", "Sec-Session-Registration", "Sec-Session-Challenge",
	"Alt-Svc", "Public-Key-Pins", "Proxy-Authenticate",
}

// cleanAnswer removes what a backend may not say in the gateway's name: our
// cookies, a weaker HSTS, wiping the browser's data, our own identity headers
// reflected (THREATS H9).
func cleanAnswer(h http.Header) {
	for _, name := range ours {
		delete(h, name)
	}
	cookies, present := h["Set-Cookie"]
	if !present {
		return
	}
	kept := cookies[:0]
	for _, cookie := range cookies {
		if !namesOwnCookie(cookie) {
			kept = append(kept, cookie)
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
	if res.StatusCode == http.StatusSwitchingProtocols && !x.WebSocket {
		res.Body.Close()
		hold.done()
		t.log.Warn("backend switched protocols unasked", "practice", x.Practice.ID, "request", x.ID)
		return nil, errUnasked
	}
	cleanAnswer(res.Header)
	if challenge, asked := stepUpChallenge(res); asked && x.Live() != nil {
		res.Body.Close()
		hold.done()
		return t.answers.Response(hold.request, answer.StepUpNeeded, challenge.reason(), answer.StepUpURL(hold.request)), nil
	}
	hold.body(res)
	return res, nil
}
