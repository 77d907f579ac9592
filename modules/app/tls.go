package app

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"

	"clinicgate/gateway/core"
)

// tlsParts is what the app does for TLS beside the handlers, for one config.
type tlsParts struct {
	storage certmagic.Storage // of this config; nil: the gateway has no site
	servers map[*caddyhttp.Server]bool
	tickets caddytls.STEKProvider // nil: each node has its own
	stop    context.CancelFunc
}

// useTLS takes note of a server that the gateway's handlers are provisioned for.
func (a *App) useTLS(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	if a.tls.storage == nil {
		if err := a.beginTLS(ctx); err != nil {
			return err
		}
		a.tls.servers = make(map[*caddyhttp.Server]bool)
	}
	a.tls.servers[server] = true
	return nil
}

func (a *App) beginTLS(ctx caddy.Context) error {
	a.tls.storage = ctx.Storage()
	shared := a.tls.storage == a.registry()
	if a.Cluster != "" && !shared {
		return errors.New("the certificates of a cluster must be where all its nodes find them: write `storage practice` " +
			"among the global options, in the place of any other storage")
	}
	if shared {
		if err := a.shareTickets(ctx); err != nil {
			return err
		}
	}
	if a.core == nil {
		return nil
	}
	value, err := ctx.App("events")
	if err != nil {
		return err
	}
	events, ok := value.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("the app events is a %T", value)
	}
	return events.On("cert_failed", failures{a.core})
}

// failures hears of certificates that the authority did not give.
type failures struct{ core *core.Core }

// Handle notes the host.
func (f failures) Handle(_ context.Context, event caddy.Event) error {
	host, _ := event.Data["identifier"].(string)
	renewal, _ := event.Data["renewal"].(bool)
	f.core.CertificateFailed(context.Background(), host, renewal)
	return nil
}

// startTLS begins what runs beside requests.
func (a *App) startTLS() {
	ctx, stop := context.WithCancel(context.Background())
	a.tls.stop = stop
	if a.tls.storage != nil {
		go every(ctx, watchPeriod, func() { a.watch(ctx) })
	}
	if a.tls.tickets != nil {
		go every(ctx, ticketsPeriod, func() { a.renewTickets(ctx) })
	}
}

func (a *App) stopTLS() {
	if a.tls.stop != nil {
		a.tls.stop()
	}
}

// every does something now and then again each period.
func every(ctx context.Context, period time.Duration, do func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// watchPeriod is how often the certificates' ends are looked at.
const watchPeriod = time.Hour

// watch reads the certificates of practices' hosts from the storage.
func (a *App) watch(ctx context.Context) {
	keys, err := a.tls.storage.List(ctx, "certificates", true)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
			a.core.Log().Error("certificates could not be looked at", "reason", err)
		}
		return
	}
	var found []core.Certificate
	for _, key := range keys {
		host := path.Base(path.Dir(key))
		if path.Base(key) != host+".crt" || a.core.Directory.ByHost(host) == nil {
			continue
		}
		certificate, err := readCertificate(ctx, a.tls.storage, key)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.core.Log().Error("a certificate could not be looked at", "host", host, "reason", err)
		default:
			found = append(found, core.Certificate{Host: host, From: certificate.NotBefore, Until: certificate.NotAfter})
		}
	}
	a.core.SetCertificates(ctx, found)
}

func readCertificate(ctx context.Context, from certmagic.Storage, key string) (*x509.Certificate, error) {
	text, err := from.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
