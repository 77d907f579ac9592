package forward

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"clinicgate/modules/exchange"
)

func init() { caddy.RegisterModule(Upstreams{}) }

// Upstreams implements http.reverse_proxy.upstreams.practice: the backends of the
// practice that the request is for.
type Upstreams struct{}

// CaddyModule names the module.
func (Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.practice", New: func() caddy.Module { return new(Upstreams) }}
}

var errNoPractice = errors.New("the request belongs to no practice")

// GetUpstreams returns new Upstream values on every call, because reverse_proxy
// writes to them; their health lives in Caddy's table by address.
func (Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	x := exchange.Of(r.Context())
	if x == nil || x.Practice == nil {
		return nil, errNoPractice
	}
	addresses := x.Practice.Upstreams
	pool := make([]reverseproxy.Upstream, len(addresses))
	upstreams := make([]*reverseproxy.Upstream, len(addresses))
	for i, address := range addresses {
		pool[i].Dial = address
		upstreams[i] = &pool[i]
	}
	return upstreams, nil
}

// Interface guards.
var _ reverseproxy.UpstreamSource = (*Upstreams)(nil)
