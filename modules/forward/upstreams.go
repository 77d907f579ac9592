package forward

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"clinicgate/modules/app"
	"clinicgate/modules/exchange"
)

func init() { caddy.RegisterModule(Upstreams{}) }

// Upstreams implements http.reverse_proxy.upstreams.practice: the backends of the
// practice that the request is for.
type Upstreams struct {
	// Health has the backends asked whether they are well. Empty: a request finds out.
	Health *Health `json:"health,omitempty"`
}

// CaddyModule names the module.
func (Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.practice", New: func() caddy.Module { return new(Upstreams) }}
}

// Provision starts asking.
func (u *Upstreams) Provision(ctx caddy.Context) error {
	if u.Health == nil {
		return nil
	}
	c, err := app.Core(ctx)
	if err != nil {
		return err
	}
	return u.Health.provision(ctx, c)
}

// Cleanup closes the connections that were asked on.
func (u *Upstreams) Cleanup() error {
	if u.Health == nil || u.Health.Transport.Transport == nil {
		return nil
	}
	return u.Health.Transport.Cleanup()
}

var errNoPractice = errors.New("the request belongs to no practice")

// GetUpstreams returns new Upstream values on every call, because reverse_proxy
// writes to them; their health lives in Caddy's table by address.
func (u *Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	x := exchange.Of(r.Context())
	if x == nil || x.Practice == nil {
		return nil, errNoPractice
	}
	addresses := u.Health.choose(x.Practice.Upstreams)
	pool := make([]reverseproxy.Upstream, len(addresses))
	upstreams := make([]*reverseproxy.Upstream, len(addresses))
	for i, address := range addresses {
		pool[i].Dial = address
		upstreams[i] = &pool[i]
	}
	return upstreams, nil
}

// Interface guards.
var (
	_ reverseproxy.UpstreamSource = (*Upstreams)(nil)
	_ caddy.Provisioner           = (*Upstreams)(nil)
	_ caddy.CleanerUpper          = (*Upstreams)(nil)
)
