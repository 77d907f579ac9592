// Package standard lists what is compiled into the gateway.
package standard

import (
	_ "github.com/caddyserver/caddy/v2/modules/standard" // Caddy itself

	_ "clinicgate/certs"              // tls.permission.practice
	_ "clinicgate/modules/answer"     // http.handlers.practice_error
	_ "clinicgate/modules/app"        // the app clinicgate
	_ "clinicgate/modules/connection" // caddy.listeners.handshake_turns, .strict_http1
	_ "clinicgate/modules/directive"  // Caddyfile: practice_gateway, clinicgate
	_ "clinicgate/modules/enforce"    // http.handlers.practice_enforce
	_ "clinicgate/modules/forward"    // http.reverse_proxy.transport.practice, .upstreams.practice
	_ "clinicgate/modules/login"      // http.handlers.practice_login
	_ "clinicgate/modules/practice"   // http.handlers.practice
)
