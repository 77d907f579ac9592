package practice

import (
	"net/http"
	"strings"
)

// untrusted names headers that tell a backend or a framework who the client is,
// which address it asked for, or that the method is another one. Clients do not
// get to say so. Caddy rebuilds X-Forwarded-For, -Host and -Proto afterwards.
var untrusted = map[string]bool{
	"Forwarded": true, "Via": true, "X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true,
	"Client-Ip": true, "X-Cluster-Client-Ip": true, "Fastly-Client-Ip": true,
	"X-Originating-Ip": true, "X-Host": true,
	"X-Request-Id": true, "X-Rewrite-Url": true, "Front-End-Https": true, "X-Url-Scheme": true,
	"X-Http-Method": true, "X-Http-Method-Override": true, "X-Method-Override": true,
	"Authorization": true, "Proxy-Authorization": true, "Proxy-Connection": true, "Proxy": true,
	"Keep-Alive": true, "Te": true, "Trailer": true, "Sec-Secure-Session-Id": true,
	"X-Client-Cert": true, "X-Client-Dn": true, "X-Client-Verify": true, "Client-Cert": true, "Client-Cert-Chain": true,
	"X-Forwarded": true, "X-Forward-For": true, "X-Proxyuser-Ip": true, "Wl-Proxy-Client-Ip": true,
	"X-Scheme": true, "X-Override-Url": true, "X-Http-Host-Override": true, "X-Middleware-Subrequest": true,
	"X-True-Client-Ip": true, "Fly-Client-Ip": true, "Do-Connecting-Ip": true, "Incap-Client-Ip": true,
	"Early-Data": true, "X-Accel-Redirect": true, "X-Sendfile": true, "Cookie2": true,
}

// families are prefixes of names. The first five begin what only the gateway may
// send to a backend (DESIGN section 6); the others speak for proxies and
// authenticators that stand in front of other products.
var (
	familiesX = []string{
		"X-Practice-", "X-User-", "X-Auth-", "X-Session-", "X-Gate-",
		"X-Forwarded-", "X-Original-", "X-Remote-", "X-Envoy-", "X-Webauth-", "X-Ssl-", "X-Goog-Iap-",
		"X-Goog-Authenticated-User-", "X-Amzn-Oidc-", "X-Amzn-Mtls-", "X-Ms-Client-Principal", "X-Appengine-", "X-Azure-", "X-Arr-",
		"X-Authenticated-", "X-Authentik-", "X-Pomerium-", "X-Vouch-", "X-Consumer-", "X-Credential-",
	}
	familiesS = []string{"Secure-Session-", "Ssl-Client-"}
	familiesR = []string{"Remote-"}
	familiesC = []string{"Cf-Access-", "Cf-Connecting-"}
	familiesT = []string{"Tailscale-"}
)

// cleanHeaders removes everything from the request that a client may not tell a
// backend (THREATS H): reserved and forwarded names in every spelling, names
// with characters that some backend folds into "-", hop-by-hop names listed in
// Connection, and trailers. aliases are further reserved names of the platform,
// in canonical form.
func cleanHeaders(r *http.Request, aliases map[string]bool) {
	for name := range r.Header {
		if !plainName(name) || untrusted[name] || aliases[name] || inFamily(name) {
			delete(r.Header, name)
		}
	}
	cutConnection(r.Header)
	r.Trailer = nil
}

// maxHead is what the target and the header fields of a request may come to, in bytes,
// each field counted with 32 more, as HTTP/2 counts (RFC 9113 section 6.5.2). What the
// protocol libraries take at most is more (max_header_size in the Caddyfile), so that it
// is the gateway that refuses: with a page that says what to do, and with HSTS, which
// the answers of the HTTP/2 and HTTP/3 libraries lack.
const maxHead = 32 << 10

func tooLarge(r *http.Request) bool {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + 32
		}
	}
	return size > maxHead
}

// plainName accepts canonical names of letters and digits with single hyphens
// between them. Underscore, dot, tilde, plus and the like are legal in RFC 9110 and
// dangerous behind it, and so is a hyphen too many: "X-User-Id-" is another name to
// us and the same to a backend that trims (TestClientClaimsIdentity).
func plainName(name string) bool {
	hyphen := true // as if one stood before the name
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '-' {
			if hyphen {
				return false
			}
			hyphen = true
			continue
		}
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
		hyphen = false
	}
	return !hyphen
}

// inFamily reports a reserved or untrusted family. Most names begin with another
// letter, so most calls end at the first byte.
func inFamily(name string) bool {
	var families []string
	switch name[0] {
	case 'X':
		families = familiesX
	case 'S':
		families = familiesS
	case 'R':
		families = familiesR
	case 'C':
		families = familiesC
	case 'T':
		families = familiesT
	}
	for _, prefix := range families {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// cutConnection leaves only the tokens that a browser needs. Any other token
// names a header that Caddy would remove behind our back (THREATS fact 1).
func cutConnection(h http.Header) {
	values, present := h["Connection"]
	if !present {
		return
	}
	var keep []string
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.TrimSpace(token)) {
			case "close":
				keep = append(keep, "close")
			case "upgrade":
				keep = append(keep, "Upgrade")
			}
		}
	}
	if len(keep) == 0 {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(keep, ", ")}
}
