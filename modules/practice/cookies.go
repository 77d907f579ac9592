package practice

import (
	"net/http"
	"strings"

	"clinicgate/modules/exchange"
)

// The gateway's own cookies. The prefix makes browsers refuse them from a
// sibling host and over plain HTTP (RFC 6265bis section 4.1.3.2).
const (
	SessionCookie = "__Host-gate"
	FlowCookie    = "__Host-gate-flow"
	DeviceCookie  = "__Host-gate-device"
)

// Limits of what a browser may send (THREATS C5).
const (
	maxCookieBytes = 8 << 10
	maxCookies     = 100
)

// takeCookies removes every cookie that looks like one of ours from the request
// and returns the values of those that are, to the letter. A session cookie that
// stands twice is no session cookie: a browser never sends that, somebody who
// tosses cookies does (THREATS C2, H6).
func takeCookies(h http.Header) exchange.Cookies {
	lines, present := h["Cookie"]
	if !present {
		return exchange.Cookies{}
	}
	var own exchange.Cookies
	var seen [3]bool
	var rest strings.Builder
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			name, value, _ := strings.Cut(pair, "=")
			switch {
			case name == SessionCookie:
				take(&own.Session, value, &seen[0])
			case name == FlowCookie:
				take(&own.Flow, value, &seen[1])
			case name == DeviceCookie:
				take(&own.Device, value, &seen[2])
			case pair == "" || looksOwn(name):
			default:
				if rest.Len() > 0 {
					rest.WriteString("; ")
				}
				rest.WriteString(pair)
			}
		}
	}
	if rest.Len() == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = []string{rest.String()}
	}
	return own
}

// take sets *into once; a second value of the same cookie empties it for good.
func take(into *string, value string, seen *bool) {
	if *seen {
		value = ""
	}
	*into, *seen = value, true
}

// looksOwn reports names that some backend could read as one of ours: another
// case, blanks or quotes around it, an obsolete $-attribute, or nothing before the
// first "=", which browsers once sent on as a name (RFC 6265bis section 5.6).
func looksOwn(name string) bool {
	if name == "" || name[0] == '$' {
		return true
	}
	const prefix = "__host-gate"
	name = strings.TrimLeft(name, " \t\"\u00a0\u0085")
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// tooManyCookies reports a Cookie header beyond the limits.
func tooManyCookies(h http.Header) bool {
	bytes, count := 0, 0
	for _, line := range h["Cookie"] {
		bytes += len(line)
		count += strings.Count(line, ";") + 1
	}
	return bytes > maxCookieBytes || count > maxCookies
}
