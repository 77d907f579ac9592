// Package app is the clinicgate app: it opens the core once for this process
// and keeps it open across config reloads.
package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"clinicgate/gateway/core"
)

func init() { caddy.RegisterModule(App{}) }

// App is the Caddy app "clinicgate".
type App struct {
	core.Files

	core      *core.Core
	key       string
	options   core.Options
	missing   error // why there is no core
	collector *collector
	tls       tlsParts
}

// cores holds the open cores of this process by the place of their databases. A reload provisions
// the new config before the old one stops: both then share one core, and with it
// the caches, the open streams and the signing keys.
var cores = caddy.NewUsagePool()

// shared is a core in the pool; the pool destructs it with its last user.
type shared struct{ *core.Core }

func (s shared) Destruct() error { return s.Close() }

// CaddyModule names the module.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "clinicgate", New: func() caddy.Module { return new(App) }}
}

// Provision opens the core, or takes the one that is open. It binds nothing. Files
// that are not there yet stop Start and not Provision, so that `gateway validate`
// works on a machine where the gateway is yet to be set up; it leaves no trace on any.
func (a *App) Provision(ctx caddy.Context) error {
	options, err := core.ReadOptions(a.Files)
	if err == nil {
		_, err = os.Stat(options.MasterKey)
	}
	if errors.Is(err, fs.ErrNotExist) {
		a.missing = fmt.Errorf("the gateway is not set up: %w; see docs/operations.md, or run: gateway keys init", err)
		ctx.Logger().Warn("valid, but not ready to run", zap.Error(a.missing))
		return nil
	}
	if err != nil {
		return err
	}
	if onlyValidates() {
		a.missing = errors.New("a config that is validated is not run")
		return nil
	}
	return a.open(ctx, options)
}

// onlyValidates says whether this process was called to look at a config: then the state
// stays shut. Opened by root, or by a newer program before an upgrade, it would get
// files or a schema that the gateway that runs cannot use. Caddy provisions in both
// cases and tells modules nothing of it (TestValidatingTouchesNoState).
func onlyValidates() bool {
	return len(os.Args) > 1 && (os.Args[1] == "validate" || os.Args[1] == "adapt")
}

func (a *App) open(ctx caddy.Context, options core.Options) error {
	options.Log = ctx.Slogger()
	place := options.Place()
	value, _, err := cores.LoadOrNew(place, func() (caddy.Destructor, error) {
		c, err := core.Open(context.Background(), options)
		return shared{c}, err
	})
	if err != nil {
		return fmt.Errorf("opening the gateway's state: %w", err)
	}
	a.core, a.key, a.options = value.(shared).Core, place, options
	return a.core.Metrics.Register(ctx.GetMetricsRegistry())
}

// Start refuses to run without a core. The core works since it was opened; what starts
// is that it lives by this config: a config that is refused while it is provisioned
// has changed nothing. And the collector takes the gateway's pace
// (TestStartSetsTheCollectorsPace).
func (a *App) Start() error {
	if a.missing != nil {
		return a.missing
	}
	if err := a.rule(); err != nil {
		return err
	}
	a.collector = startCollector()
	a.startTLS()
	return nil
}

// rule makes this config's log and platform document those of the core.
func (a *App) rule() error {
	a.core.SetLog(a.options.Log)
	ctx, cancel := context.WithTimeout(context.Background(), ruleTimeout)
	defer cancel()
	if err := a.core.SetPlatform(ctx, a.options.Platform); err != nil {
		return fmt.Errorf("applying the platform document: %w", err)
	}
	return nil
}

// ruleTimeout bounds reading the practices for a new platform document.
const ruleTimeout = 30 * time.Second

// Stop ends what Start began and hands the core to the config that is in force. After
// a reload that is the new one, which has it already; when another app of this config
// could not start, it is the one that keeps serving
// (TestBrokenConfigIsRefusedAndTheOldOneServes). The core is given back by Cleanup.
func (a *App) Stop() error {
	a.collector.stop()
	a.stopTLS()
	active, _ := caddy.ActiveContext().AppIfConfigured("clinicgate")
	if other, ok := active.(*App); ok && other != a && other.core == a.core && other.core != nil {
		return other.rule()
	}
	return nil
}

// Cleanup gives the core back, also after a Provision that failed half-way.
func (a *App) Cleanup() error {
	if a.key == "" {
		return nil
	}
	_, err := cores.Delete(a.key)
	return err
}

// KnownHost tells the certificate permission whether a practice has this host.
func (a *App) KnownHost(host string) bool {
	return a.core != nil && a.core.Directory.ByHost(host) != nil
}

// OrderCertificate tells the certificate permission whether one more may be ordered.
func (a *App) OrderCertificate(ctx context.Context, host string) error {
	if a.core == nil {
		return a.missing
	}
	return a.core.OrderCertificate(ctx, host)
}

// Core returns the core of the config that is being provisioned, to a handler of a
// server that keeps the gateway's promises. It is nil when the gateway is only
// validated; then Start refuses, and no handler ever serves.
func Core(ctx caddy.Context) (*core.Core, error) {
	if err := secureServer(ctx); err != nil {
		return nil, err
	}
	value, err := ctx.App("clinicgate")
	if err != nil {
		return nil, err
	}
	a, ok := value.(*App)
	if !ok || a.core == nil && a.missing == nil {
		return nil, errors.New("the clinicgate app has not opened its state")
	}
	return a.core, a.useTLS(ctx)
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
