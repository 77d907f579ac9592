package command

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

func init() {
	register("health", "Say whether the gateway serves; for a container's health check", func(cmd *cobra.Command) {
		cmd.Long = "Asks the running gateway through the admin socket that the Caddyfile names (with --state: admin.sock in that\n" +
			"folder) and exits with 0 when it serves and can read its registry. It needs neither curl nor a shell,\n" +
			"opens no database and makes no change. --url asks an address from outside instead."
		cmd.Example = "  gateway health --config /etc/clinicgate/Caddyfile\n" +
			"  gateway health --url https://harbour.example/.gate/health"
		stateFlags(cmd)
		cmd.Args = atMost(0)
		cmd.Flags().String("url", "", "ask this address, which must answer 200, instead of the admin socket")
		cmd.Flags().String("ca", "", "with --url: file with the certificate authority to trust (default: the system's)")
		cmd.Flags().Duration("timeout", 5*time.Second, "how long to wait for the answer")
		cmd.RunE = plain(checkHealth)
	})
}

// maxFeedAge is how long a serving node may not have read its registry. Sessions go on
// for longer (outage_grace), but the node no longer learns of revocations at once.
const maxFeedAge = 30 * time.Second

// maxMetrics bounds the answer that is read, in bytes.
const maxMetrics = 32 << 20

// health is what was found, for programs.
type health struct {
	Healthy  bool    `json:"healthy"`
	Asked    string  `json:"asked"`
	FeedAge  float64 `json:"feed_age_seconds,omitempty"`
	Count    int     `json:"practices,omitempty"`
	Broken   int     `json:"broken_practices,omitempty"`
	sentence string
}

func checkHealth(ctx context.Context, cmd *cobra.Command, _ []string) error {
	timeout, _ := cmd.Flags().GetDuration("timeout")
	if timeout <= 0 {
		return usage("--timeout must be longer than nothing")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ask := askAdmin
	if text(cmd, "url") != "" {
		ask = askURL
	}
	h, err := ask(ctx, cmd)
	if ctx.Err() == context.DeadlineExceeded {
		return refuse("the gateway does not answer within %s", timeout)
	}
	if err != nil {
		return err
	}
	if yes(cmd, "json") {
		return writeJSON(cmd.OutOrStdout(), h)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), h.sentence)
	return err
}

// askURL asks one address.
func askURL(ctx context.Context, cmd *cobra.Command) (health, error) {
	target := text(cmd, "url")
	if text(cmd, "state") != "" || text(cmd, "config") != "" {
		return health{}, usage("--url asks from outside: leave out --state and --config")
	}
	if u, err := url.Parse(target); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return health{}, usage("--url takes an http or https address without a password")
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := text(cmd, "ca"); file != "" {
		pem, err := readBounded(file, 1<<20)
		if err != nil {
			return health{}, refuse("reading the certificate authority: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return health{}, refuse("%s holds no certificate", file)
		}
	}
	res, err := get(ctx, &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}, target)
	if err != nil {
		return health{}, refuse("the gateway does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return health{}, refuse("%s answers %s", target, res.Status)
	}
	return health{Healthy: true, Asked: target, sentence: "The gateway answers."}, nil
}

func get(ctx context.Context, transport *http.Transport, target string) (*http.Response, error) {
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return res, err
}

// askAdmin asks for the figures of the running config. Those of the gateway's own app
// are there only when a config with it has been loaded and serves.
func askAdmin(ctx context.Context, cmd *cobra.Command) (health, error) {
	addr, err := adminAddr(cmd)
	if err != nil {
		return health{}, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, addr.Network, addr.JoinHostPort(0))
	}}
	host := "127.0.0.1" // what Caddy's admin expects on a socket
	if !addr.IsUnixNetwork() {
		host = addr.JoinHostPort(0)
	}
	res, err := get(ctx, transport, "http://"+host+"/metrics")
	if err != nil {
		return health{}, refuse("the gateway does not answer on its admin address %s: %w", addr.JoinHostPort(0), err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return health{}, refuse("the gateway's admin address answers %s", res.Status)
	}
	figures, err := readFigures(io.LimitReader(res.Body, maxMetrics))
	if err != nil {
		return health{}, refuse("reading the gateway's figures: %w", err)
	}
	return judge(figures, addr.JoinHostPort(0))
}

// adminAddr finds the admin address of the installation.
func adminAddr(cmd *cobra.Command) (caddy.NetworkAddress, error) {
	listen := ""
	switch state, config := text(cmd, "state"), text(cmd, "config"); {
	case state != "" && config != "":
		return caddy.NetworkAddress{}, usage("--state and --config both name the installation: give one of them")
	case state != "":
		listen = "unix/" + filepath.Join(state, "admin.sock")
	case config != "":
		served, err := readConfig(config)
		if err != nil {
			return caddy.NetworkAddress{}, err
		}
		if served.Admin.Disabled {
			return caddy.NetworkAddress{}, refuse("%s turns the admin interface off: give it a socket (`admin \"unix//run/clinicgate/admin.sock|0600\"`), or use --url", config)
		}
		listen = served.Admin.Listen
	default:
		return caddy.NetworkAddress{}, usage("name the installation with --config CADDYFILE or --state DIR, or an address with --url")
	}
	if listen == "" {
		listen = caddy.DefaultAdminListen
	}
	if strings.HasPrefix(listen, "unix/") {
		listen, _, _ = strings.Cut(listen, "|") // the permissions of the socket
	}
	addr, err := caddy.ParseNetworkAddressWithDefaults(listen, "tcp", 2019)
	if err != nil || !addr.IsUnixNetwork() && addr.PortRangeSize() != 1 {
		return addr, refuse("the admin address %q cannot be asked", listen)
	}
	return addr, nil
}

// readFigures reads the gateway's own gauges from Prometheus text: those without labels.
func readFigures(r io.Reader) (map[string]float64, error) {
	figures := make(map[string]float64)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || !strings.HasPrefix(name, "clinicgate_") || strings.Contains(name, "{") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			figures[name] = v
		}
	}
	return figures, lines.Err()
}

// judge decides from the figures. What is missing is not healthy.
func judge(figures map[string]float64, asked string) (health, error) {
	age, ok := figures["clinicgate_feed_age_seconds"]
	if !ok {
		return health{}, refuse("a server answers on %s, but it does not run the gateway", asked)
	}
	if !(age >= 0 && age <= maxFeedAge.Seconds()) {
		return health{}, refuse("the gateway has not been able to read its registry for %.0f s", age)
	}
	h := health{
		Healthy: true, Asked: asked, FeedAge: age,
		Count: int(figures["clinicgate_practices"]), Broken: int(figures["clinicgate_broken_practices"]),
	}
	h.sentence = fmt.Sprintf("The gateway serves %s.", counted(h.Count, "practice"))
	if h.Broken > 0 {
		h.sentence += fmt.Sprintf(" %d of them cannot be served: see `gateway practice list`.", h.Broken)
	}
	return h, nil
}
