package directive

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// backends is how backends are spoken to.
type backends struct {
	transport reverseproxy.HTTPTransport
	health    string // path that they are asked for; empty: they are not
}

// parseBackends reads the block of practice_gateway.
func parseBackends(d *caddyfile.Dispenser) (backends, error) {
	var b backends
	t := &b.transport
	*t = reverseproxy.HTTPTransport{
		DialTimeout:           caddy.Duration(3 * time.Second),
		ResponseHeaderTimeout: caddy.Duration(60 * time.Second),
		MaxResponseHeaderSize: 256 << 10, // else 10 MiB a request, whoever makes the backend say so
	}
	seen := options{}
	for d.NextBlock(0) {
		if err := seen.once(d); err != nil {
			return b, err
		}
		var err error
		switch d.Val() {
		case "dial_timeout":
			err = parseDuration(d, &t.DialTimeout)
		case "response_timeout":
			err = parseDuration(d, &t.ResponseHeaderTimeout)
		case "backend_tls":
			t.TLS, err = parseBackendTLS(d)
		case "backend_health":
			b.health, err = parseHealth(d)
		default:
			err = d.Errf("unknown option %q: %s has dial_timeout, response_timeout, backend_health and backend_tls", d.Val(), name)
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func parseDuration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	var text string
	if !d.AllArgs(&text) {
		return d.Errf("%s takes one duration such as 5s", option)
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s: %q is not a duration above zero, such as 5s or 1m", option, text)
	}
	*into = caddy.Duration(value)
	return nil
}

// parseHealth reads the path that backends are asked for.
func parseHealth(d *caddyfile.Dispenser) (path string, err error) {
	if !d.AllArgs(&path) || !strings.HasPrefix(path, "/") {
		return "", d.Errf("backend_health takes one path such as /healthz")
	}
	return path, literal(d, "backend_health", []string{path})
}

func parseBackendTLS(d *caddyfile.Dispenser) (*reverseproxy.TLSConfig, error) {
	if d.NextArg() {
		return nil, d.Errf("backend_tls takes a block, not %q", d.Val())
	}
	c, seen := new(reverseproxy.TLSConfig), options{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := seen.once(d); err != nil {
			return nil, err
		}
		option, args := d.Val(), d.RemainingArgs()
		if err := literal(d, option, args); err != nil {
			return nil, err
		}
		switch {
		case option == "ca" && len(args) > 0:
			c.CARaw = caddyconfig.JSON(map[string]any{"provider": "file", "pem_files": args}, nil)
		case option == "server_name" && len(args) == 1:
			c.ServerName = args[0]
		case option == "client_cert" && len(args) == 2:
			c.ClientCertificateFile, c.ClientCertificateKeyFile = args[0], args[1]
		default:
			return nil, d.Errf("backend_tls: %q does not stand here like that: it has `ca FILE…`, `server_name NAME` and `client_cert CERT KEY`", option)
		}
	}
	return c, nil
}

// options remembers what a block has said: of two lines one would be ignored.
type options map[string]bool

func (seen options) once(d *caddyfile.Dispenser) error {
	option := d.Val()
	switch {
	case option == "{":
		return d.Err("the option of this line takes no block: remove the braces")
	case seen[option]:
		return d.Errf("%s stands twice: remove one of the two", option)
	}
	seen[option] = true
	return nil
}

// literal refuses values that are none: an empty one, and placeholders, which nothing
// expands here (THREATS P4).
func literal(d *caddyfile.Dispenser, option string, values []string) error {
	for _, value := range values {
		if value == "" {
			return d.Errf("%s: the value is empty: write one or remove the line", option)
		}
		if strings.ContainsAny(value, "{}") {
			return d.Errf("%s: %q is a placeholder, which is not expanded here: write the value, or {$NAME} for one of the environment", option, value)
		}
	}
	return nil
}
