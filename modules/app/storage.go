package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/caddyserver/certmagic"

	"clinicgate/gateway/certstore"
)

// CertificateStorage keeps certificates in the registry, and takes over those that stand in
// the folder where the shipped Caddyfile of a single gateway keeps them: else all
// practices would be without, until the authority has given them new ones. A config that is
// only validated keeps none.
func (a *App) CertificateStorage(ctx context.Context) (certmagic.Storage, error) {
	if a.core != nil {
		if err := adopt(ctx, &certmagic.FileStorage{Path: filepath.Join(a.State, "caddy")}, a.core.Certificates); err != nil {
			return nil, fmt.Errorf("taking certificates over from %s: %w", filepath.Join(a.State, "caddy"), err)
		}
	}
	return a.registry(), nil
}

// registry is the storage that CertificateStorage returns.
func (a *App) registry() certmagic.Storage {
	if a.core == nil {
		return nowhere{}
	}
	return storage{a.core.Certificates}
}

// adopted says in the storage that there is nothing more to take over.
const adopted = "adopted/files"

// adopt copies files into a store that does not have them, once. Broken off, it is begun
// again. The files stay.
func adopt(ctx context.Context, from *certmagic.FileStorage, to *certstore.Store) (err error) {
	keys, err := from.List(ctx, "", true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := to.Lock(ctx, adopted); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Unlock(context.WithoutCancel(ctx), adopted)) }()
	if _, err := to.Stat(ctx, adopted); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, key := range keys {
		if err := copyFile(ctx, from, to, key); err != nil {
			return err
		}
	}
	return to.Store(ctx, adopted, nil)
}

// copyFile copies a file that the store does not have. Folders, locks and what cannot be a
// file of the TLS server's are left out.
func copyFile(ctx context.Context, from *certmagic.FileStorage, to *certstore.Store, key string) error {
	info, err := from.Stat(ctx, key)
	if err != nil || !info.IsTerminal || strings.HasPrefix(key, "locks/") || info.Size > certstore.MaxSize {
		return err
	}
	if _, err := to.Stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	value, err := from.Load(ctx, key)
	if err != nil {
		return err
	}
	return to.Store(ctx, key, value)
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
