package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"clinicgate/gateway/core"
	"clinicgate/gateway/loopback"
	"clinicgate/tests/bench/seed"
)

// Practice and Role are where and as what the benchmark's person works.
const (
	Practice = "harbour"
	Role     = "clinician"
	email    = "clinician@harbour.test"
)

// sessionCookie is the name of the gateway's session cookie (DESIGN section 7).
const sessionCookie = "__Host-gate"

// Gateway is a running gateway.
type Gateway struct {
	*Process
	stage  *Stage
	person seed.Person
}

// caddyfile is the production set-up with everything on. Only where it keeps things and which port it has differ; the
// certificate is the benchmark's, so that all fronts do the same TLS work.
const caddyfile = `{
	admin "unix/%[8]s|0600"
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	https_port %[1]s
	storage file_system "%[2]s/caddy"
	servers {
		listener_wrappers {
			handshake_turns
			tls
			strict_http1
		}
		strict_sni_host on
		0rtt off
	}
	clinicgate {
		state "%[3]s"
		master_key "%[4]s"
		platform "%[5]s"
	}
}
https:// {
	bind 127.0.0.1
	tls "%[6]s" "%[7]s"
	practice_gateway
}
`

// StartGateway makes an installation with the harbour practice and one person who has an authenticator app, and starts
// the gateway on it.
func (s *Stage) StartGateway(ctx context.Context, backend string) (*Gateway, error) {
	g := &Gateway{stage: s}
	files, err := s.fill(ctx, "state", func(i *seed.Installation) error {
		doc, err := seed.Harbour(backend, Host)
		if err != nil {
			return err
		}
		if err := i.Apply(ctx, append(seed.Practices(doc, 0, ""), doc), func(int) {}); err != nil {
			return err
		}
		g.person, err = i.Add(ctx, doc.Practice, email, Role)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the gateway's state: %w", err)
	}
	g.Process, err = s.RunGateway(ctx, "gateway", files)
	return g, err
}

// fill makes an installation in a folder of the stage and closes it again.
func (s *Stage) fill(ctx context.Context, name string, with func(*seed.Installation) error) (core.Files, error) {
	i, err := seed.Create(ctx, filepath.Join(s.Dir, name))
	if err != nil {
		return core.Files{}, err
	}
	return i.Files(), errors.Join(with(i), i.Close())
}

// Fill is fill for a benchmark that needs more than one person.
func (s *Stage) Fill(ctx context.Context, name string, with func(*seed.Installation) error) (core.Files, error) {
	return s.fill(ctx, name, with)
}

// RunGateway starts the gateway on an installation.
func (s *Stage) RunGateway(ctx context.Context, name string, files core.Files) (*Process, error) {
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	file, err := s.Write(name+".caddyfile",
		fmt.Sprintf(caddyfile, port, s.Dir, files.State, files.MasterKey, files.Platform, s.Cert, s.Key,
			filepath.Join(s.Dir, name+".sock")))
	if err != nil {
		return nil, fmt.Errorf("writing the Caddyfile of %s: %w", name, err)
	}
	return s.Start(ctx, name, addr, s.Binary, "run", "--config", file, "--adapter", "caddyfile")
}

// SignIn signs the person in, password and code, and returns the session cookie as "name=value".
func (g *Gateway) SignIn(ctx context.Context) (string, error) {
	cookie, err := g.stage.SignIn(ctx, g.Addr, "", g.person)
	if err != nil {
		return "", fmt.Errorf("%w; the gateway's log ends with: %s", err, g.LogTail())
	}
	return cookie, g.CheckSignedIn(ctx, cookie)
}

// CheckSignedIn asks the backend, through the gateway, who the request is: the figures of a gateway that let the
// request pass without identity, or not at all, are worth nothing.
func (g *Gateway) CheckSignedIn(ctx context.Context, cookie string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, URL(g.Addr, WhoPath), nil)
	if err != nil {
		return err
	}
	name, value, _ := strings.Cut(cookie, "=")
	r.AddCookie(&http.Cookie{Name: name, Value: value})
	status, text, err := fetch(g.stage.Client(), r)
	if want := Practice + "|" + email + "|aal2"; err == nil && (status != http.StatusOK || text != want) {
		err = fmt.Errorf("the backend saw %d %.200q, not %q", status, text, want)
	}
	return err
}
