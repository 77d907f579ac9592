package practice

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// upgrade is what a request with an Upgrade header turned out to be.
type upgrade int

const (
	noUpgrade     upgrade = iota
	goodWebSocket         // a well-formed handshake (RFC 6455 section 4.1) of the same origin
	badUpgrade            // malformed, or another protocol: never a raw tunnel (THREATS fact 12)
	foreignOrigin         // a WebSocket from somebody else's page (THREATS Z1)
)

// upgradeOf classifies the request. Browsers let any page open a WebSocket to any
// host with cookies, so the Origin is the only thing that tells ours from theirs.
func upgradeOf(r *http.Request) upgrade {
	protocols, present := r.Header["Upgrade"]
	if !present {
		if hasUpgradeToken(r.Header) {
			return badUpgrade
		}
		return noUpgrade
	}
	h := r.Header
	key, err := base64.StdEncoding.DecodeString(only(h["Sec-Websocket-Key"]))
	wellFormed := r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 &&
		len(protocols) == 1 && strings.EqualFold(protocols[0], "websocket") && hasUpgradeToken(h) &&
		err == nil && len(key) == 16 && only(h["Sec-Websocket-Version"]) == "13" &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0
	switch {
	case !wellFormed:
		return badUpgrade
	case !sameOrigin(only(h["Origin"]), r.Host):
		return foreignOrigin
	}
	return goodWebSocket
}

// sameOrigin compares an Origin with the Host of the request, whichever of them
// spells out the port that https has anyway (RFC 6454 section 6.2).
func sameOrigin(origin, host string) bool {
	authority, secure := strings.CutPrefix(origin, "https://")
	return secure && strings.EqualFold(strings.TrimSuffix(authority, ":443"), strings.TrimSuffix(host, ":443"))
}

// hasUpgradeToken expects the Connection header as cutConnection left it.
func hasUpgradeToken(h http.Header) bool {
	return strings.Contains(only(h["Connection"]), "Upgrade")
}

// only returns the single value of a header, or "" when it is absent or repeated.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
