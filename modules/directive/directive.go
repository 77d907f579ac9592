// Package directive is the Caddyfile's view of the gateway: practice_gateway for a
// site and clinicgate among the global options. Both are thin sugar over JSON.
package directive

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

const name = "practice_gateway"

func init() {
	httpcaddyfile.RegisterDirective(name, parseGateway)
	// First of all directives: what stands beside it in a site never sees a request.
	httpcaddyfile.RegisterDirectiveOrder(name, httpcaddyfile.Before, "tracing")
}

// parseGateway reads
//
//	practice_gateway {
//		dial_timeout     3s     # connecting to a backend
//		response_timeout 60s    # until a backend's response headers
//		backend_health   /healthz   # asked for every 3 s; empty: requests find out
//		backend_tls {           # speak TLS to backends
//			ca          FILE…   # trusted roots; empty: the system's
//			server_name NAME    # expected name; empty: the upstream's host
//			client_cert CERT KEY
//		}
//	}
//
// and expands it into the whole chain in the one right order, and the error pages. The
// values shown are the defaults; without backend_tls backends are spoken to in plain.
func parseGateway(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	if err := wholeSite(h); err != nil {
		return nil, err
	}
	backends, err := parseBackends(h.Dispenser)
	if err != nil {
		return nil, err
	}
	if err := globalOptions(h); err != nil {
		return nil, err
	}
	httpsPort, _ := h.Option("https_port").(int)
	return []httpcaddyfile.ConfigValue{
		{Class: "route", Value: caddyhttp.Route{HandlersRaw: chain(backends, httpsPort), Terminal: true}},
		{Class: "error_route", Value: &caddyhttp.Subroute{Routes: caddyhttp.RouteList{
			{HandlersRaw: []json.RawMessage{handler("practice_error", nil)}},
		}}},
	}, nil
}

// wholeSite refuses a gateway for a part of a site: beside it would be a way in that no
// policy knows. Caddy keeps one state for the directives of sites and copies it for
// those inside handle, route, a named route and the like.
func wholeSite(h httpcaddyfile.Helper) error {
	if h.NextArg() {
		return h.Errf("%s takes the whole site: remove the argument %q and put options into a block", name, h.Val())
	}
	here := new(byte)
	h.State[name] = here
	if h.BlockState[name] != here {
		return h.Errf("%s takes the whole site: move it out of the block that it stands in (handle, route …); "+
			"which paths are public is said by a practice's policy", name)
	}
	return nil
}

// globalOptions refuses what would make the gateway useless or go round it.
func globalOptions(h httpcaddyfile.Helper) error {
	if order, set := h.Option("order").([]string); set && (len(order) == 0 || order[0] != name) {
		return h.Errf("%s must be the first of all directives: remove `order … first` or `order … before %s` from the global options", name, name)
	}
	if onDemand, set := h.Option("on_demand_tls").(*caddytls.OnDemandConfig); set && onDemand != nil {
		var permission struct {
			Module string `json:"module"`
		}
		if err := json.Unmarshal(onDemand.PermissionRaw, &permission); err != nil || permission.Module != "practice" {
			return h.Errf("%s: certificates are for practices' hosts alone: write `permission practice` into on_demand_tls of the global options", name)
		}
	}
	if h.Option("clinicgate") == nil {
		return h.Errf("%s: clinicgate is missing among the global options: write `clinicgate {` `state DIR` `}` there", name)
	}
	return nil
}

// chain is the request's way (DESIGN section 2). The transport at its end needs the
// decision in its hand, so even another order could not leak.
func chain(b backends, httpsPort int) []json.RawMessage {
	upstreams := map[string]any{"source": "practice"}
	if b.health != "" {
		upstreams["health"] = map[string]any{"path": b.health, "transport": b.transport}
	}
	// A backend that takes no connection is left out for a few seconds, after one
	// failure: the try that follows must reach the next one. What failed on a connection
	// does not count, see modules/forward.
	proxy := map[string]any{
		"dynamic_upstreams":  upstreams,
		"transport":          json.RawMessage(caddyconfig.JSONModuleObject(b.transport, "protocol", "practice", nil)),
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
