package certs

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(Storage{}) }

// keeper is what the storage needs of the clinicgate app.
type keeper interface {
	// CertificateStorage is shared by all nodes of an installation.
	CertificateStorage(ctx context.Context) (certmagic.Storage, error)
}

// Storage implements caddy.storage.practice: certificates, their keys and the session
// ticket keys stand encrypted in the registry, where every node finds them.
type Storage struct {
	storage certmagic.Storage
}

// CaddyModule names the module.
func (Storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.practice", New: func() caddy.Module { return new(Storage) }}
}

// Provision finds the app.
func (s *Storage) Provision(ctx caddy.Context) error {
	app, err := ctx.AppIfConfigured("clinicgate")
	if err != nil {
		return fmt.Errorf("storage practice keeps certificates in the gateway's registry: write `clinicgate {` `state DIR` `}` "+
			"among the global options: %w", err)
	}
	k, ok := app.(keeper)
	if !ok {
		return errors.New("the app clinicgate keeps no certificates")
	}
	s.storage, err = k.CertificateStorage(ctx)
	return err
}

// CertMagicStorage returns the storage that Caddy uses.
func (s *Storage) CertMagicStorage() (certmagic.Storage, error) {
	if s.storage == nil {
		return nil, errors.New("storage practice was not provisioned")
	}
	return s.storage, nil
}

// UnmarshalCaddyfile reads `storage practice`, which has no options.
func (*Storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() || d.NextBlock(0) {
		return d.Errf("storage practice takes no options, not %q", d.Val())
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner      = (*Storage)(nil)
	_ caddy.StorageConverter = (*Storage)(nil)
	_ caddyfile.Unmarshaler  = (*Storage)(nil)
)
