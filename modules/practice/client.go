package practice

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// clientAddr is the one client address that allow list, limits and audit log use
// (THREATS X2): what Caddy settled on from the connection and the trusted proxies,
// in one spelling. It is invalid, and so outside of every network, when it cannot be
// relied on. It must be asked before cleanHeaders.
func clientAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr := parseAddr(text)
	if isTrustedPeer(r) && !reachedFrom(r.Header["X-Forwarded-For"], addr) {
		return netip.Addr{}
	}
	return addr
}

// isTrustedPeer reports a connection from one of the server's trusted_proxies.
func isTrustedPeer(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// reachedFrom reports whether there are only addresses between the right end of the
// forwarded list and addr. Caddy steps over whatever else stands there, and behind a
// proxy that wrote "unknown" it would believe what the client wrote to the left of it
// (THREATS X1, TestForwardedAddressBehindTrustedProxies).
func reachedFrom(lines []string, addr netip.Addr) bool {
	for _, line := range slices.Backward(lines) {
		for line != "" {
			comma := strings.LastIndexByte(line, ',')
			entry := strings.TrimSpace(line[comma+1:])
			line = line[:max(comma, 0)]
			if entry == "" {
				continue // an empty element is none (RFC 9110 section 5.6.1)
			}
			switch found := parseAddr(entry); found {
			case netip.Addr{}:
				return false
			case addr:
				return true
			}
		}
	}
	return true
}

// parseAddr reads an address with or without port, without zone and mapped IPv4.
func parseAddr(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// tellClient leaves the client's address for reverse_proxy, which appends the peer's
// to what a trusted peer said, and overwrites what anybody else did.
func tellClient(r *http.Request, client netip.Addr) {
	if isTrustedPeer(r) && client.IsValid() && client != parseAddr(r.RemoteAddr) {
		r.Header["X-Forwarded-For"] = []string{client.String()}
	}
}
