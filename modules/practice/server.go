package practice

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// leaveNothingToNetHTTP makes `OPTIONS *` a request like any other: net/http would answer
// it by itself, without HSTS. Caddy has no setting for that; the server is in the
// context of its first connection, before anything is read from it. What net/http
// answers before there is a request is for modules/connection, which a config may
// leave out.
func leaveNothingToNetHTTP(ctx caddy.Context, server *caddyhttp.Server) {
	var once sync.Once
	server.RegisterConnContext(func(ctx context.Context, _ net.Conn) context.Context {
		once.Do(func() {
			if s, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok {
				s.DisableGeneralOptionsHandler = true
			}
		})
		return ctx
	})
	if !slices.ContainsFunc(server.ListenerWrappersRaw, func(w json.RawMessage) bool { return bytes.Contains(w, []byte(`"strict_http1"`)) }) {
		ctx.Logger().Warn("malformed requests get net/http's own answer, without HSTS, and a crowd that connects at once slows those who are signed in: "+
			"write `listener_wrappers { handshake_turns tls strict_http1 }` into the servers block, each on a line", zap.Strings("server", server.Listen))
	}
}
