package boundary_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// forwarded are headers by which proxies, frameworks and authenticators are told who
// the client is, what it asked for, or that it is somebody.
var forwarded = []string{
	"Forwarded", "Via", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
	"X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-User", "X-Forwarded-Email",
	"X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-By",
	"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Forward-For", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Client-Ip",
	"X-Cluster-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Remote-User", "X-Originating-Ip", "X-Host",
	"X-Original-Url", "X-Original-Uri", "X-Original-Host", "X-Original-Method", "X-Rewrite-Url", "X-Override-Url", "X-Http-Host-Override",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "Front-End-Https", "X-Url-Scheme", "X-Scheme", "X-Request-Id",
	"Remote-User", "X-Webauth-User", "X-Ssl-Client-Cert", "X-Ssl-Client-Verify", "Ssl-Client-Cert", "X-Client-Cert", "X-Client-Dn", "X-Client-Verify",
	"Client-Cert", "Client-Cert-Chain", "X-Goog-Iap-Jwt-Assertion", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity",
	"X-Ms-Client-Principal", "X-Ms-Client-Principal-Name", "X-Envoy-Original-Path", "X-Envoy-Internal", "X-Envoy-External-Address",
	"Wl-Proxy-Client-Ip", "X-Proxyuser-Ip", "X-Middleware-Subrequest", "Authorization", "Proxy-Authorization", "Proxy-Authenticate", "Proxy", "Te", "Early-Data",
	"Secure-Session-Response", "Secure-Session-Registration", "Secure-Session-Challenge", "Sec-Secure-Session-Id", "X-Accel-Redirect", "X-Sendfile",
	"Remote-Groups", "Remote-Email", "Remote-Name", "Remote-Addr", "X-Authenticated-Userid", "X-Authentik-Username", "X-Pomerium-Claim-Email",
	"X-Vouch-User", "X-Consumer-Username", "X-Credential-Identifier", "Cf-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email", "Cf-Connecting-Ipv6",
	"Tailscale-User-Login", "X-Amzn-Mtls-Clientcert", "X-Appengine-User-Ip", "X-Azure-Clientip", "X-Arr-Clientcert", "X-True-Client-Ip", "Fly-Client-Ip",
	"Incap-Client-Ip", "Do-Connecting-Ip",
}

// TestForwardedFamilyFromAnUntrustedPeer is THREATS H8 (CVE-2026-40575) and X1: the
// backend learns address, host and scheme from us, and the rest not at all.
func TestForwardedFamilyFromAnUntrustedPeer(t *testing.T) {
	rebuilt := map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": rig.Host(gate, "harbour"), "X-Forwarded-Proto": "https"}
	for _, protocol := range protocols {
		for _, name := range forwarded {
			if protocol != "h1" && (name == "Te" || strings.HasPrefix(name, "Proxy-")) {
				continue // not to be said in HTTP/2 and 3; TestHopByHop… tries
			}
			t.Run(protocol+" "+name, func(t *testing.T) {
				var header []rig.Field
				for _, spelling := range append(spellings(name), name) {
					header = append(header, rig.Field{spelling, rig.Canary})
				}
				echo := rig.Passes(t, gate, admin(t, protocol, header...))
				checkIdentity(t, echo)
				for name, want := range rebuilt {
					echo.Only(t, name, want)
				}
				if via := echo.Headers["Via"]; len(via) != 1 || !strings.HasSuffix(via[0], " Caddy") {
					t.Errorf("the backend saw Via %q, want ours alone", via)
				}
			})
		}
	}
}

// TestForwardedHostMovesNoAddress is THREATS H8 and R: what a client says of host and
// scheme changes no redirect, no link and no check of origin.
func TestForwardedHostMovesNoAddress(t *testing.T) {
	const evil = "evil-" + rig.Canary + ".example"
	lies := []rig.Field{
		{"X-Forwarded-Host", evil}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Port", "666"}, {"X-Forwarded-Prefix", "/" + evil},
		{"Forwarded", "host=" + evil + ";proto=http"}, {"X-Host", evil}, {"X-Original-Url", "https://" + evil + "/"}, {"X-Rewrite-Url", "//" + evil},
		{"X-Original-Host", evil}, {"X-Forwarded-Server", evil}, {"X-Forwarded-Uri", "//" + evil}, {"Accept", "text/html"},
	}
	for _, protocol := range protocols {
		for name, request := range map[string]rig.Request{
			"to the sign-in page": nobody(protocol, "/patients", lies...),
			"the sign-in page":    nobody(protocol, "/.gate/login?rd=/patients", lies...),
			"who am I":            nobody(protocol, "/.gate/session", lies...),
			"a problem document":  nobody(protocol, "/api/echo", lies[:len(lies)-1]...),
		} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				answer := rig.Send(t, gate, request)
				answer.CheckHSTS(t)
				for name, values := range answer.Header {
					if strings.Contains(strings.Join(values, " "), rig.Canary) {
						t.Errorf("%s: %q is the client's", name, values)
					}
				}
				if strings.Contains(answer.Text, rig.Canary) {
					t.Errorf("the text names the client's host: %.300q", answer.Text)
				}
				if where := answer.Header.Get("Location"); where != "" && !strings.HasPrefix(where, "/.gate/") {
					t.Errorf("sent to %q, want a path of the gateway's own", where)
				}
			})
		}
		t.Run(protocol+" a form of another origin", func(t *testing.T) {
			form := url.Values{"email": {"admin@harbour.test"}, "password": {"wrong"}}
			for _, origin := range []string{"https://" + evil, "null", "http://" + evil, "https://harbour.localhost.evil.example", "https://harbour.localhost", "https://" + rig.Host(gate, "acacia")} {
				request := nobody(protocol, "/.gate/login", append([]rig.Field{
					{"Origin", origin}, {"Content-Type", "application/x-www-form-urlencoded"}}, lies...)...)
				request.Method, request.Body = http.MethodPost, form.Encode()
				rig.Refuses(t, gate, request, 403)
			}
		})
	}
}
