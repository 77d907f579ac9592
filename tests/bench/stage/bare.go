package stage

import (
	"context"
	"fmt"

	"clinicgate/gateway/loopback"
)

// StartBare starts stock Caddy in front of backend: the same binary, a Caddyfile with nothing but tls and
// reverse_proxy, default logging. The global options only keep it on its own port.
func (s *Stage) StartBare(ctx context.Context, name, backend string) (*Process, error) {
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	file, err := s.Write(name+".caddyfile", fmt.Sprintf(`{
	admin off
	auto_https disable_redirects
	default_bind 127.0.0.1
}
%s {
	tls %s %s
	reverse_proxy %s
}
`, URL(addr, ""), s.Cert, s.Key, backend))
	if err != nil {
		return nil, fmt.Errorf("writing the Caddyfile of %s: %w", name, err)
	}
	return s.Start(ctx, name, addr, s.Binary, "run", "--config", file, "--adapter", "caddyfile")
}

// StartBackendAndBare starts the backend and bare Caddy in front of it, what every comparison begins with.
func (s *Stage) StartBackendAndBare(ctx context.Context) (*Backend, *Process, error) {
	backend, err := s.StartBackend(ctx)
	if err != nil {
		return nil, nil, err
	}
	bare, err := s.StartBare(ctx, "bare", backend.Addr)
	return backend, bare, err
}
