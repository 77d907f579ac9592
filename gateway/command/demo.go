package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"

	"clinicgate/gateway/core"
	"clinicgate/gateway/demo"
	"clinicgate/gateway/demo/backend"
	"clinicgate/gateway/vault"
)

func init() {
	register("demo", "Try the gateway: four practices, a small backend, nothing to set up", func(cmd *cobra.Command) {
		cmd.Long = "Starts the gateway with a database, a certificate authority and a small clinical backend of its own.\n" +
			"Nothing is installed; without --state nothing is kept. Ctrl-C ends it."
		cmd.Args = atMost(0)
		cmd.Flags().String("listen", "127.0.0.1:8443", "loopback address to serve on")
		cmd.Flags().String("state", "", "folder to keep the demo in (default: a temporary one)")
		cmd.Flags().Bool("json", false, "print one line of JSON when it serves")
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return finish(cmd, runDemo(cmd)) }
	})
}

// ready is the line that --json prints once the demo serves (DESIGN section 8).
type ready struct {
	Ready     bool            `json:"ready"`
	CA        string          `json:"ca"`
	Backend   string          `json:"backend"`
	Practices []demo.Practice `json:"practices"`
}

func runDemo(cmd *cobra.Command) error {
	listen, _ := cmd.Flags().GetString("listen")
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || port == "0" {
		return usage("--listen takes a loopback address and a port, such as 127.0.0.1:8443: the demo's passwords are for show")
	}
	state, keep := cmd.Flag("state").Value.String(), true
	if state == "" {
		keep = false
		if state, err = os.MkdirTemp("", "clinicgate-demo-"); err != nil {
			return fmt.Errorf("making a folder for the demo: %w", err)
		}
		defer os.RemoveAll(state)
	}
	if state, err = filepath.Abs(state); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	asJSON, _ := cmd.Flags().GetBool("json")
	shown, err := startDemo(ctx, state, host, port)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(os.Stdout).Encode(shown)
	} else {
		printDemo(os.Stdout, shown, state, keep)
	}
	<-ctx.Done()
	return errors.Join(err, caddy.Stop())
}

// startDemo seeds the state if it is new, starts backend and gateway, and returns
// when the gateway serves.
func startDemo(ctx context.Context, state, host, port string) (ready, error) {
	ca := filepath.Join(state, "caddy", "pki", "authorities", "local", "root.crt")
	client := gatewayClient(ca, net.JoinHostPort(host, port))
	keys := backend.NewGateway(oidc.ClientContext(ctx, client), demo.Keys(port)...)
	back, err := backend.Serve(ctx, "127.0.0.1:0", backend.Options{Verify: keys.Verify})
	if err != nil {
		return ready{}, err
	}
	practices, err := seedDemo(ctx, state, port, strings.TrimPrefix(back.URL(), "http://"))
	if err != nil {
		return ready{}, err
	}
	if err := load(demoCaddyfile(state, host, port)); err != nil {
		return ready{}, err
	}
	shown := ready{Ready: true, Backend: back.URL(), Practices: practices, CA: ca}
	if err := awaitServing(ctx, client, practices[0].URL); err != nil {
		return ready{}, fmt.Errorf("the demo does not serve on %s: %w", net.JoinHostPort(host, port), err)
	}
	return shown, nil
}

// seedDemo makes the demo's people, or reads who they are from the state folder.
func seedDemo(ctx context.Context, state, port, upstream string) ([]demo.Practice, error) {
	options, err := core.ReadOptions(core.Files{State: state})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	file := filepath.Join(state, "demo.json")
	known, err := os.ReadFile(file)
	fresh := errors.Is(err, os.ErrNotExist)
	if fresh {
		err = vault.CreateMasterKey(options.MasterKey)
	}
	if err != nil {
		return nil, err
	}
	c, err := core.OpenTool(ctx, options)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if !fresh {
		return demoAgain(ctx, c, known, port, upstream)
	}
	practices, err := demo.Seed(ctx, c, port, upstream)
	if err != nil {
		return nil, err
	}
	content, err := json.MarshalIndent(practices, "", "  ")
	if err != nil {
		return nil, err
	}
	return practices, os.WriteFile(file, content, 0o600)
}

// demoAgain points a kept demo to the new backend and brings its accounts back.
func demoAgain(ctx context.Context, c *core.Core, known []byte, port, upstream string) ([]demo.Practice, error) {
	var before []demo.Practice
	if err := json.Unmarshal(known, &before); err != nil {
		return nil, fmt.Errorf("reading demo.json of the state folder: %w; choose another --state", err)
	}
	practices, err := demo.Point(ctx, c, port, upstream)
	if err != nil {
		return nil, err
	}
	for i := range practices {
		if i < len(before) {
			practices[i].Accounts = before[i].Accounts
		}
	}
	return practices, nil
}

// demoCaddyfile is a small production Caddyfile with its own certificate authority.
func demoCaddyfile(state, host, port string) string {
	return fmt.Sprintf(`{
	admin "unix/%[1]s/admin.sock|0600"
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	https_port %[3]s
	storage file_system "%[1]s/caddy"
	on_demand_tls {
		permission practice
	}
	servers {
		listener_wrappers {
			handshake_turns
			tls
			strict_http1
		}
		strict_sni_host on
		0rtt off
	}
	log {
		output stderr
		level WARN
		exclude admin
	}
	clinicgate {
		state "%[1]s"
	}
}
https:// {
	bind %[2]s
	tls {
		issuer internal
		on_demand
	}
	practice_gateway
}
`, state, host, port)
}

// load adapts a Caddyfile and runs it in this process.
func load(caddyfile string) error {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return fmt.Errorf("reading the demo's Caddyfile: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	return nil
}

// gatewayClient asks the demo's gateway by any of its hosts, and trusts its certificate
// authority, which is there once the gateway has started.
func gatewayClient(caFile, addr string) *http.Client {
	dial := func(ctx context.Context, network, asked string) (net.Conn, error) {
		root, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("reading the demo's certificate authority: %w", err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(root)
		host, _, err := net.SplitHostPort(asked)
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: host}}).DialContext(ctx, network, addr)
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialTLSContext: dial, DisableKeepAlives: true}}
}

// awaitServing asks a practice's health until it answers over TLS.
func awaitServing(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/.gate/health", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("health answers %s", res.Status)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// printDemo tells a person what to open and who to be.
func printDemo(w io.Writer, r ready, state string, keep bool) {
	fmt.Fprintf(w, "\nThe demo is running. Open one of these in a browser on this machine:\n")
	for _, p := range r.Practices {
		fmt.Fprintf(w, "\n  %s   %s\n", p.URL, p.Policy.Name)
		for _, a := range p.Accounts {
			fmt.Fprintf(w, "    %-24s %-28s %s\n", a.Email, a.Password, strings.Join(a.Roles, ", "))
			if a.TOTPSecret != "" {
				fmt.Fprintf(w, "    %24s authenticator key %s\n", "", a.TOTPSecret)
			}
		}
	}
	fmt.Fprintf(w, "\nThe browser will warn until it trusts the demo's certificate authority:\n  %s\n", r.CA)
	if keep {
		fmt.Fprintf(w, "Kept in %s: start again with the same --state.\n", state)
	}
	fmt.Fprintf(w, "Ctrl-C ends it.\n\n")
}
