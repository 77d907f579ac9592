package practice

import (
	"net/http"
	"strconv"
	"strings"
)

// hostOf returns the practice host that a request names: lower case, without
// port. ok is false when the request names a host in any ambiguous way, when the
// TLS server name differs from it, or when no name was given at all
// (THREATS T1, T2). The request is then answered 421.
func hostOf(r *http.Request) (host string, ok bool) {
	name, ok := splitPort(r.Host)
	if !ok || !isHostName(name) {
		return "", false
	}
	if _, twice := r.Header["Host"]; twice {
		return "", false // HTTP/2 with :authority and a host field of its own
	}
	name = lower(name)
	if r.TLS != nil && lower(r.TLS.ServerName) != name {
		return "", false // connection of one practice, request of another (RFC 9110 section 7.4)
	}
	return name, true
}

// splitPort removes ":port". A colon without a port, or a port that is no
// number from 1 to 65535, is refused.
func splitPort(hostport string) (string, bool) {
	name, port, found := strings.Cut(hostport, ":")
	if !found {
		return name, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return name, err == nil && n > 0 && port[0] != '0'
}

// isHostName accepts letters, digits, hyphens and inner dots: no trailing dot,
// no IPv6 literal, no underscore, nothing that needs decoding.
func isHostName(name string) bool {
	if name == "" || len(name) > 253 || name[0] == '.' || name[len(name)-1] == '.' {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// lower allocates only when there is a letter to fold.
func lower(s string) string { return strings.ToLower(s) }
