package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"clinicgate/gateway/demo/backend"
	"clinicgate/gateway/redis/redistest"
	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

const (
	password = "quiet lantern over the harbour wall"
)

// The practices.
const (
	north = "north" // a password is enough
	east  = "east"  // wants a second factor
	west  = "west"  // like north, and trusts what a node knows for 2 s only
)

// cluster is two nodes and what they share.
type cluster struct {
	postgres *postgres
	redis    *redistest.Server
	operator *node    // where commands are run: it never serves
	nodes    [2]*node // A and B
	balancer *balancer
	clinical string // address of the backend
	secrets  string // folder with what make-secrets has made
	roots    *x509.CertPool

	reader, gone harness.Account // at north: who works while something breaks, and whose session was ended before

	balanced *harness.Gateway    // by way of the balancer
	direct   [2]*harness.Gateway // a node itself
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{}
	c.makeSecrets(t)
	c.postgres = startPostgres(t, filepath.Join(c.secrets, "postgres"))
	secure := c.startRedis(t)
	c.operator = &node{name: "the operator", http: "127.0.0.1:1", https: "127.0.0.1:2"}
	c.layout(t, c.operator, c.postgres.addr, secure)
	c.command(t, "", "keys", "init")
	c.clinical = c.startBackend(t)
	for _, practice := range []string{
		document(north, c.clinical, "report", "5m"), document(east, c.clinical, "enforced", "5m"), document(west, c.clinical, "report", "2s"),
	} {
		c.command(t, practice, "practice", "apply", "-f", "-")
	}
	for i, name := range []string{"A", "B"} {
		c.startNode(t, i, name, secure)
	}
	c.balancer = startBalancer(t, c.nodes[0].https, c.nodes[1].https)
	c.roots = c.authority(t)
	var practices []harness.Practice
	for _, id := range []string{north, east, west} {
		practices = append(practices, harness.Practice{ID: id, URL: "https://" + id + ".clinic.test"})
	}
	c.balanced = harness.At(c.balancer.addr, c.roots, practices...)
	for i, n := range c.nodes {
		c.direct[i] = harness.At(n.https, c.roots, practices...)
	}
	c.reader, c.gone = c.person(t, north), c.person(t, north)
	return c
}

// document is a practice's policy.
func document(id, upstream, secondFactor, grace string) string {
	return fmt.Sprintf(`practice: %[1]s
name: %[1]s
hosts: [%[1]s.clinic.test]
timezone: Australia/Sydney
upstreams: [%[2]s]
sign_in:
  methods: [password]
  second_factor: {stage: %[3]s, accept: [totp]}
session: {outage_grace: %[4]s}
access:
  - {path: /public/*, public: true}
  - {path: /billing/*, roles: [billing]}
`, id, upstream, secondFactor, grace)
}

// makeSecrets makes certificates and passwords as an operator does.
func (c *cluster) makeSecrets(t testing.TB) {
	t.Helper()
	c.secrets = filepath.Join(tempDir(t, "gatesecrets"), "made")
	out, err := exec.Command(filepath.Join(harness.Root(), "config/cluster/make-secrets"), c.secrets,
		"postgres=127.0.0.1", "redis=127.0.0.1").CombinedOutput()
	if err != nil {
		t.Fatalf("make-secrets: %v\n%s", err, out)
	}
}

// secret is a file that make-secrets has made.
func (c *cluster) secret(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.secrets, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// startRedis starts a Redis with TLS and the gateway's account, and returns its encrypted address.
// Beside it there is the account that needs no password, by which the tests break it.
func (c *cluster) startRedis(t testing.TB) (secure string) {
	t.Helper()
	secure = harness.FreeAddr(t)
	at := func(name string) string { return filepath.Join(c.secrets, "redis", name) }
	args := []string{"--tls-port", port(secure), "--tls-cert-file", at("server.crt"), "--tls-key-file", at("server.key"), "--tls-auth-clients", "no"}
	_, account, _ := strings.Cut(c.secret(t, "redis/users.acl"), "\nuser ")
	c.redis = redistest.Start(t, append(append(args, "--user"), strings.Fields(account)...)...)
	return secure
}

// startBackend runs the clinical system, which believes nobody but the gateway.
func (c *cluster) startBackend(t testing.TB) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	client := &http.Client{Timeout: wait, Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			return (&tls.Dialer{Config: c.balanced.TLS(host)}).DialContext(ctx, network, c.balanced.Addr)
		},
	}}
	keys := backend.NewGateway(oidc.ClientContext(ctx, client), "https://north.clinic.test/.gate/jwks.json")
	server, err := backend.Serve(ctx, "127.0.0.1:0", backend.Options{Verify: keys.Verify})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); <-server.Done() })
	return strings.TrimPrefix(server.URL(), "http://")
}

func (c *cluster) startNode(t testing.TB, i int, name, redis string) {
	t.Helper()
	n := &node{name: name, http: harness.FreeAddr(t), https: harness.FreeAddr(t)}
	n.database, n.redis = newLink(t, c.postgres.addr), newLink(t, redis)
	c.layout(t, n, n.database.addr, n.redis.addr)
	key, err := os.ReadFile(c.operator.path("etc/master.key"))
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, "etc/master.key", string(key))
	c.nodes[i] = n
	t.Cleanup(n.stop)
	n.start(t)
}

// authority is the root of the nodes' own certificates, which one of them has made for both.
func (c *cluster) authority(t testing.TB) *x509.CertPool {
	t.Helper()
	_, text, err := c.nodes[0].admin(http.MethodGet, "/pki/ca/local", "")
	var answer struct {
		Root string `json:"root_certificate"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &answer)
	}
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM([]byte(answer.Root)) {
		t.Fatalf("no root certificate: %v in %s", err, text)
	}
	return pool
}

// command runs a subcommand as the operator, which must succeed.
func (c *cluster) command(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, errs, code := c.try(t, stdin, args...)
	if code != 0 {
		t.Fatalf("gateway %s: exit %d, %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// try is command, which may fail.
func (c *cluster) try(t testing.TB, stdin string, args ...string) (out, errs string, code int) {
	t.Helper()
	return harness.Run(t, stdin, append(args, "--config", c.operator.path("etc/Caddyfile"))...)
}

// people counts them, so that each has an address of their own.
var people atomic.Int64

// person makes somebody at a practice.
func (c *cluster) person(t testing.TB, practice string, more ...string) harness.Account {
	t.Helper()
	email := fmt.Sprintf("person-%d@%s.test", people.Add(1), practice)
	var added struct {
		TOTP string `json:"totp_secret"`
	}
	text := c.command(t, password, append([]string{"user", "add", "--practice", practice, "--email", email, "--name", "Test Person",
		"--role", "reception", "--password-file", "-", "--json"}, more...)...)
	if err := json.Unmarshal([]byte(text), &added); err != nil {
		t.Fatal(err)
	}
	return harness.Account{Email: email, Password: password, TOTPSecret: added.TOTP}
}

// signedIn signs somebody in by way of a gateway and returns the session cookie.
func signedIn(t testing.TB, g *harness.Gateway, practice string, who harness.Account) string {
	t.Helper()
	b := g.Browser(t, "h1")
	b.SignIn(g.Practice(practice), who)
	return b.Cookie(g.Practice(practice).URL, probe.Session)
}

// ask asks for a path as a page's script does, at one gateway, on a connection of its own.
func ask(t testing.TB, g *harness.Gateway, practice, path, session string) int {
	t.Helper()
	return probe.Send(t, probe.Client(t, g, ""), script(g.Practice(practice), path, session)).StatusCode
}

// script is a request as a page's script makes it.
func script(p harness.Practice, path, session string) *http.Request {
	req := probe.Page(p, path, probe.Session+"="+session)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	return req
}

// becomes waits until an answer has a status, at most for the time.
func becomes(t testing.TB, within time.Duration, g *harness.Gateway, practice, path, session string, want int) {
	t.Helper()
	client := probe.Client(t, g, "")
	eventually(t, within, fmt.Sprintf("%s answers %d", path, want), func() error {
		if got := probe.Send(t, client, script(g.Practice(practice), path, session)).StatusCode; got != want {
			return fmt.Errorf("it answers %d", got)
		}
		return nil
	})
}

// verified checks every audit log.
func (c *cluster) verified(t testing.TB) {
	t.Helper()
	c.command(t, "", "audit", "verify", "--all")
}
