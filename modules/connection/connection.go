// Package connection is what happens before there is a request: TLS handshakes take
// turns, and the heads of HTTP/1 requests are looked at before net/http reads them.
//
// Both are listener wrappers, one on each side of TLS:
//
//	servers {
//		listener_wrappers {
//			handshake_turns
//			tls
//			strict_http1
//		}
//	}
package connection

import (
	"crypto/tls"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"clinicgate/modules/answer"
	"clinicgate/modules/app"
)

func init() {
	caddy.RegisterModule(HandshakeTurns{})
	caddy.RegisterModule(StrictHTTP1{})
}

// HandshakeTurns implements caddy.listeners.handshake_turns, which stands before tls:
// it gives strict_http1 hold of the connection under TLS.
type HandshakeTurns struct{}

// CaddyModule names the module.
func (HandshakeTurns) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.handshake_turns", New: func() caddy.Module { return new(HandshakeTurns) }}
}

// WrapListener makes connections that can take turns.
func (*HandshakeTurns) WrapListener(under net.Listener) net.Listener {
	return turnListener{under}
}

// UnmarshalCaddyfile reads the name alone.
func (*HandshakeTurns) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// StrictHTTP1 implements caddy.listeners.strict_http1, which stands behind tls: it
// makes the handshake, watches HTTP/1, and lets every other protocol pass untouched.
type StrictHTTP1 struct {
	answers *answer.Answers
}

// CaddyModule names the module.
func (StrictHTTP1) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.strict_http1", New: func() caddy.Module { return new(StrictHTTP1) }}
}

// Provision takes the core from the clinicgate app, for its audit log and metrics.
func (s *StrictHTTP1) Provision(ctx caddy.Context) error {
	core, err := app.Core(ctx)
	s.answers = answer.New(core)
	return err
}

// WrapListener makes connections with a finished handshake.
func (s *StrictHTTP1) WrapListener(under net.Listener) net.Listener {
	return newListener(under, s.answers.NoteHead)
}

// UnmarshalCaddyfile reads the name alone.
func (*StrictHTTP1) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// Missing reports a connection of a server whose config leaves the wrappers out.
func Missing(c net.Conn) bool {
	secure, ok := c.(*tls.Conn) // one that speaks HTTP/1 behind them is none any more
	if !ok {
		return false
	}
	_, wrapped := secure.NetConn().(*turnConn)
	return !wrapped
}

// nameOnly refuses everything behind the wrapper's name.
func nameOnly(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.Errf("it takes no argument: remove %q", d.Val())
	}
	if d.NextBlock(0) {
		return d.Errf("it has no option %q: remove the block", d.Val())
	}
	return nil
}

// Interface guards.
var (
	_ caddy.ListenerWrapper = (*HandshakeTurns)(nil)
	_ caddy.ListenerWrapper = (*StrictHTTP1)(nil)
	_ caddy.Provisioner     = (*StrictHTTP1)(nil)
	_ caddyfile.Unmarshaler = (*HandshakeTurns)(nil)
	_ caddyfile.Unmarshaler = (*StrictHTTP1)(nil)
)
