package app

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/distributedstek" // tls.stek.distributed
)

// How old a ticket key gets before the next one is made, how many are known, and how often
// a node reads them: after a new key was made, a session that another node began is not
// resumed here for so long, which costs a full handshake.
const (
	ticketsAge    = 12 * time.Hour
	ticketsKept   = 4
	ticketsPeriod = 5 * time.Minute
)

// shareTickets makes the nodes that share a storage resume each other's TLS sessions, with the
// ticket keys that tls.stek.distributed keeps there. The Caddyfile cannot ask for it;
// a JSON config that says how session tickets are to be is left as it is.
func (a *App) shareTickets(ctx caddy.Context) error {
	value, err := ctx.App("tls")
	if err != nil {
		return err
	}
	if app, ok := value.(*caddytls.TLS); ok && app.SessionTickets != nil {
		return nil
	}
	module, err := ctx.LoadModuleByID("tls.stek.distributed", nil)
	if err != nil {
		return fmt.Errorf("sharing TLS session ticket keys: %w", err)
	}
	provider, ok := module.(caddytls.STEKProvider)
	if !ok {
		return fmt.Errorf("tls.stek.distributed is a %T", module)
	}
	a.tls.tickets = provider
	return nil
}

// renewTickets gives all servers the keys that the nodes share, making a new one when it is time.
// The provider's own loop is not used: it ends for good when the storage fails once.
func (a *App) renewTickets(ctx context.Context) {
	keys, err := a.tls.tickets.Initialize(&caddytls.SessionTicketService{RotationInterval: caddy.Duration(ticketsAge), MaxKeys: ticketsKept})
	if ctx.Err() != nil {
		return // another config has taken over, and broken this off
	}
	if err != nil || len(keys) == 0 {
		a.core.Log().Warn("TLS session ticket keys could not be read: sessions of other nodes are not resumed", "reason", err)
		return
	}
	for server := range a.tls.servers {
		for _, policy := range server.TLSConnPolicies {
			if policy.TLSConfig != nil {
				policy.TLSConfig.SetSessionTicketKeys(keys)
			}
		}
	}
}
