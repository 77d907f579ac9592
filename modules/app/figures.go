package app

import "github.com/caddyserver/caddy/v2"

func init() { caddy.RegisterModule(figures{}) }

// figures keeps the gateway's figures on the admin socket when a config is refused.
// Caddy replaces the admin endpoint, and with it the registry of what it shows, before
// it tries anything else of a new config, and keeps the new one if that fails. Without
// this module the alarms would go blind with the next typing mistake
// (TestRefusedConfigLeavesTheRunningOne).
type figures struct{}

// CaddyModule names the module.
func (figures) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.clinicgate_figures", New: func() caddy.Module { return figures{} }}
}

// Provision shows the figures of what is open. At the first start that is nothing yet;
// App.Provision shows its own.
func (figures) Provision(ctx caddy.Context) (err error) {
	cores.Range(func(_, open any) bool {
		err = open.(shared).Metrics.Register(ctx.GetMetricsRegistry())
		return err == nil
	})
	return err
}

// Routes are none: the figures stand at Caddy's /metrics.
func (figures) Routes() []caddy.AdminRoute { return nil }

// Interface guards.
var (
	_ caddy.Provisioner = figures{}
	_ caddy.AdminRouter = figures{}
)
