// Package directive is the Caddyfile's view of the gateway: practice_gateway for a
// site and clinicgate among the global options. Both are thin sugar over JSON.
package directive

import (
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	httpcaddyfile.RegisterDirective("practice_gateway", parseGateway)
	// First of all directives: what stands beside it in a site never sees a request.
	httpcaddyfile.RegisterDirectiveOrder("practice_gateway", httpcaddyfile.Before, "tracing")
}

// parseGateway reads
//
//	practice_gateway {
//		dial_timeout     3s     # connecting to a backend
//		response_timeout 30s    # until a backend's response headers
//		backend_tls {           # speak TLS to backends
//			ca          FILE…   # trusted roots; empty: the system's
//			server_name NAME    # expected name; empty: the upstream's host
//			client_cert CERT KEY
//		}
//	}
//
// and expands it into the whole chain in the one right order, and the error pages.
func parseGateway(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	if h.NextArg() {
		return nil, h.Errf("practice_gateway takes the whole site: remove the argument %q and put options into a block", h.Val())
	}
	transport := reverseproxy.HTTPTransport{
		DialTimeout:           caddy.Duration(3 * time.Second),
		ResponseHeaderTimeout: caddy.Duration(60 * time.Second),
	}
	for h.NextBlock(0) {
		if err := parseOption(h.Dispenser, &transport); err != nil {
			return nil, err
		}
	}
	httpsPort, _ := h.Option("https_port").(int)
	return []httpcaddyfile.ConfigValue{
		{Class: "route", Value: caddyhttp.Route{HandlersRaw: chain(transport, httpsPort), Terminal: true}},
		{Class: "error_route", Value: &caddyhttp.Subroute{Routes: caddyhttp.RouteList{
			{HandlersRaw: []json.RawMessage{handler("practice_error", nil)}},
		}}},
	}, nil
}

// parseOption reads one line of the block.
func parseOption(d *caddyfile.Dispenser, t *reverseproxy.HTTPTransport) error {
	switch d.Val() {
	case "dial_timeout":
		return parseDuration(d, &t.DialTimeout)
	case "response_timeout":
		return parseDuration(d, &t.ResponseHeaderTimeout)
	case "backend_tls":
		return parseBackendTLS(d, t)
	}
	return d.Errf("unknown option %q: practice_gateway has dial_timeout, response_timeout and backend_tls", d.Val())
}

func parseDuration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	name := d.Val()
	var text string
	if !d.AllArgs(&text) {
		return d.Errf("%s takes one duration such as 5s", name)
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s: %q is not a duration above zero, such as 5s or 1m", name, text)
	}
	*into = caddy.Duration(value)
	return nil
}

func parseBackendTLS(d *caddyfile.Dispenser, t *reverseproxy.HTTPTransport) error {
	if d.NextArg() {
		return d.Errf("backend_tls takes a block, not %q", d.Val())
	}
	t.TLS = new(reverseproxy.TLSConfig)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch option, args := d.Val(), d.RemainingArgs(); {
		case option == "ca" && len(args) > 0:
			pool := map[string]any{"provider": "file", "pem_files": args}
			t.TLS.CARaw = caddyconfig.JSON(pool, nil)
		case option == "server_name" && len(args) == 1:
			t.TLS.ServerName = args[0]
		case option == "client_cert" && len(args) == 2:
			t.TLS.ClientCertificateFile, t.TLS.ClientCertificateKeyFile = args[0], args[1]
		default:
			return d.Errf("backend_tls: %q does not stand here like that: it has `ca FILE…`, `server_name NAME` and `client_cert CERT KEY`", option)
		}
	}
	return nil
}

// chain is the request's way (DESIGN section 2). The transport at its end needs the
// decision in its hand, so even another order could not leak.
func chain(transport reverseproxy.HTTPTransport, httpsPort int) []json.RawMessage {
	// A backend that takes no connection is left out for a few seconds, after one
	// failure: the try that follows must reach the next one. What failed on a connection
	// does not count, see modules/forward.
	proxy := map[string]any{
		"dynamic_upstreams":  map[string]any{"source": "practice"},
		"transport":          json.RawMessage(caddyconfig.JSONModuleObject(transport, "protocol", "practice", nil)),
		"health_checks":      map[string]any{"passive": map[string]any{"fail_duration": "5s", "max_fails": 1}},
		"load_balancing":     map[string]any{"selection_policy": map[string]any{"policy": "first"}, "retries": 2, "try_interval": "100ms"},
		"stream_close_delay": "5m",
	}
	door := map[string]any{}
	if httpsPort != 0 {
		door["https_port"] = httpsPort
	}
	return []json.RawMessage{
		handler("practice", door),
		handler("practice_login", nil),
		handler("practice_enforce", nil),
		handler("reverse_proxy", proxy),
	}
}

// handler is one handler's JSON.
func handler(name string, fields map[string]any) json.RawMessage {
	all := map[string]any{"handler": name}
	for key, value := range fields {
		all[key] = value
	}
	return caddyconfig.JSON(all, nil)
}
