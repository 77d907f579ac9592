package practice

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"clinicgate/modules/connection"
)

// leaveNothingToNetHTTP makes `OPTIONS *` a request like any other: net/http would answer
// it by itself, without HSTS. Caddy has no setting for that; the server is in the
// context of its first connection, before anything is read from it. What net/http
// answers before there is a request is for modules/connection, which a config may
// leave out: operators are told once.
func leaveNothingToNetHTTP(ctx caddy.Context, server *caddyhttp.Server) {
	var first, warned sync.Once
	log := ctx.Logger()
	server.RegisterConnContext(func(ctx context.Context, c net.Conn) context.Context {
		first.Do(func() {
			if s, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok {
				s.DisableGeneralOptionsHandler = true
			}
		})
		if connection.Missing(c) {
			warned.Do(func() {
				log.Warn("malformed requests get net/http's own answer, without HSTS, and a crowd that connects at once slows those who are signed in: "+
					"write `listener_wrappers { handshake_turns tls strict_http1 }` into the servers block, each name on a line", zap.Strings("server", server.Listen))
			})
		}
		return ctx
	})
}
