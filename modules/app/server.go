package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// secureServer sees to what the gateway's promises need of the HTTP server that a
// handler is provisioned for: what the config leaves out gets the safe value, what it
// sets against the promises is refused. Forgetting a line of the Caddyfile thus costs
// nothing, and no line can open what a practice relies on to be shut.
//
// ctx holds the server only while its handlers are provisioned, which is before it
// listens.
func secureServer(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil // not a handler: the certificate permission
	}
	where := strings.Join(server.Listen, ", ")
	if server.StrictSNIHost == nil {
		server.StrictSNIHost = new(true)
	} else if !*server.StrictSNIHost {
		return fmt.Errorf("the server on %s has strict_sni_host off: a connection of one practice could carry "+
			"requests of another; write `strict_sni_host on` into the servers block or remove the line", where)
	}
	if server.Allow0RTT == nil {
		server.Allow0RTT = new(false)
	} else if *server.Allow0RTT {
		return fmt.Errorf("the server on %s has 0rtt on: what comes as early data can be replayed by anybody who saw it "+
			"(RFC 8446 section 8); write `0rtt off` into the servers block or remove the line", where)
	}
	// Read from the left, X-Forwarded-For says what the client wants it to say
	// (THREATS X1). There is no use for that, so there is no way to ask for it.
	server.TrustedProxiesStrict = 1
	return errors.Join(checkPolicies(server, where), checkOnDemand(ctx))
}

// checkOnDemand refuses certificates on demand for whoever asks. Caddy refuses them
// itself when they would be ordered from a public authority; from the internal one
// strangers could still fill the disk. That the permission is ours is for
// modules/directive to see: a JSON config may have another.
func checkOnDemand(ctx caddy.Context) error {
	value, err := ctx.AppIfConfigured("tls")
	app, ok := value.(*caddytls.TLS)
	if err != nil || !ok || app.Automation == nil || app.Automation.OnDemand != nil {
		return nil // no TLS app: nothing is on demand
	}
	for _, policy := range app.Automation.Policies {
		if policy.OnDemand {
			return errors.New("certificates are made on demand for any name that a stranger thinks of: " +
				"write `on_demand_tls {` `permission practice` `}` among the global options")
		}
	}
	return nil
}

// checkPolicies refuses TLS settings below the gateway's own. Caddy has no version
// under 1.2, and its default suites are what isAEAD takes.
func checkPolicies(server *caddyhttp.Server, where string) error {
	for _, policy := range server.TLSConnPolicies {
		for _, name := range policy.CipherSuites {
			if !isAEAD(name) {
				return fmt.Errorf("the server on %s offers the cipher suite %s: only suites with forward secrecy and "+
					"authenticated encryption are allowed (ECDHE with GCM or ChaCha20); remove `ciphers` to get all of them", where, name)
			}
		}
		if policy.InsecureSecretsLog != "" {
			return fmt.Errorf("the server on %s writes the secrets of its connections to %s: remove `insecure_secrets_log`",
				where, policy.InsecureSecretsLog)
		}
	}
	return nil
}

// isAEAD reports the names of suites that RFC 9325 section 4.2 recommends. A name that
// Go does not know is none.
func isAEAD(name string) bool {
	for _, suite := range tls.CipherSuites() {
		if suite.Name == name {
			return strings.HasPrefix(name, "TLS_ECDHE_") && (strings.Contains(name, "_GCM_") || strings.Contains(name, "CHACHA20_POLY1305"))
		}
	}
	return false
}
