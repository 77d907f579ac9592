package app

import (
	"context"
	"io/fs"

	"github.com/caddyserver/certmagic"

	"clinicgate/gateway/certstore"
)

// CertificateStorage keeps certificates in the registry. A config that is only validated
// keeps none.
func (a *App) CertificateStorage() certmagic.Storage {
	if a.core == nil {
		return nowhere{}
	}
	return storage{a.core.Certificates}
}

// storage is a certstore as CertMagic wants it.
type storage struct{ *files }

type files = certstore.Store // embedded by this name, so that its method Store is not hidden

// Stat says what a key stands for.
func (s storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	info, err := s.files.Stat(ctx, key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: info.Modified, Size: info.Size, IsTerminal: !info.Folder}, nil
}

// String names the storage in logs.
func (storage) String() string { return "registry" }

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Lock(context.Context, string) error                   { return nil }
func (nowhere) Unlock(context.Context, string) error                 { return nil }
func (nowhere) Store(context.Context, string, []byte) error          { return nil }
func (nowhere) Delete(context.Context, string) error                 { return nil }
func (nowhere) Exists(context.Context, string) bool                  { return false }
func (nowhere) Load(context.Context, string) ([]byte, error)         { return nil, fs.ErrNotExist }
func (nowhere) List(context.Context, string, bool) ([]string, error) { return nil, fs.ErrNotExist }
func (nowhere) Stat(context.Context, string) (certmagic.KeyInfo, error) {
	return certmagic.KeyInfo{}, fs.ErrNotExist
}

// Interface guards.
var (
	_ certmagic.Storage = storage{}
	_ certmagic.Storage = nowhere{}
)
