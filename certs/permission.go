// Package certs decides for which names the gateway gets certificates, and where they
// are kept.
package certs

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(Permission{}) }

// hosts is what the permission needs of the clinicgate app.
type hosts interface {
	// KnownHost answers from memory whether a practice has this host.
	KnownHost(host string) bool
	// OrderCertificate counts an order, or says why there are too many.
	OrderCertificate(ctx context.Context, host string) error
}

// Permission implements tls.permission.practice: a certificate is only ever asked
// for when a practice has exactly this host, so strangers cannot make the gateway
// order certificates for names of their choice.
type Permission struct {
	hosts hosts
}

// CaddyModule names the module.
func (Permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.practice", New: func() caddy.Module { return new(Permission) }}
}

// Provision finds the app.
func (p *Permission) Provision(ctx caddy.Context) error {
	app, err := ctx.App("clinicgate")
	if err != nil {
		return err
	}
	known, ok := app.(hosts)
	if !ok {
		return fmt.Errorf("the app clinicgate does not know hosts")
	}
	p.hosts = known
	value, err := ctx.App("events")
	if err != nil {
		return err
	}
	events, ok := value.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("the app events is a %T", value)
	}
	return events.On("cert_obtaining", p)
}

// CertificateAllowed refuses every name that is not a practice's host, as it stands:
// nothing in it is expanded, and no other spelling of it is tried. Anybody can make
// the gateway ask, so the answer comes from memory. It is asked before a certificate
// is ordered, renewed or loaded from storage, so a removed practice's host gets none.
func (p *Permission) CertificateAllowed(_ context.Context, name string) error {
	if p.hosts == nil || !p.hosts.KnownHost(name) {
		return fmt.Errorf("no practice has the host %q: %w", name, caddytls.ErrPermissionDenied)
	}
	return nil
}

// orderTimeout bounds asking whether a certificate may be ordered.
const orderTimeout = 10 * time.Second

// Handle is asked right before a certificate is ordered or renewed, which happens behind
// a lock that all nodes share and after a look into the storage: what it counts are
// orders, and only those. A refused order is not tried again until somebody visits the
// host again; a certificate that is being renewed serves on until its end.
func (p *Permission) Handle(_ context.Context, event caddy.Event) error {
	name, _ := event.Data["identifier"].(string)
	// The context of the event is that of the config.
	ctx, cancel := context.WithTimeout(context.Background(), orderTimeout)
	defer cancel()
	if err := p.hosts.OrderCertificate(ctx, name); err != nil {
		return certmagic.ErrNoRetry{Err: fmt.Errorf("%w: %w", caddy.ErrEventAborted, err)}
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Permission)(nil)
	_ caddytls.OnDemandPermission = (*Permission)(nil)
	_ caddyevents.Handler         = (*Permission)(nil)
)

// UnmarshalCaddyfile reads `permission practice`, which has no options.
func (*Permission) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() || d.NextBlock(0) {
		return d.Errf("permission practice takes no options, not %q", d.Val())
	}
	return nil
}
