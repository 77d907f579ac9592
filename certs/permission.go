// Package certs decides for which names the gateway gets certificates.
package certs

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

func init() { caddy.RegisterModule(Permission{}) }

// hosts is what the permission needs of the clinicgate app.
type hosts interface {
	// KnownHost answers from memory whether a practice has this host.
	KnownHost(host string) bool
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
	return nil
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

// Interface guards.
var (
	_ caddy.Provisioner           = (*Permission)(nil)
	_ caddytls.OnDemandPermission = (*Permission)(nil)
)

// UnmarshalCaddyfile reads `permission practice`, which has no options.
func (*Permission) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() || d.NextBlock(0) {
		return d.Errf("permission practice takes no options, not %q", d.Val())
	}
	return nil
}
