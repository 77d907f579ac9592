// Package redis connects to the Redis that several gateways share. Whatever is kept there may be lost, and whoever uses
// it has an answer of their own for when it does not answer.
package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say where Redis is.
type Options struct {
	URL      string // redis://HOST:PORT/DB or rediss://HOST:PORT/DB; port 6379 and database 0 may be left out
	CA       string // file with the certificate authority of its certificate; "" = those of the system
	Username string // "" = the default user
	Password string // "" = none
}

// The bounds of one command. A sign-in waits for a few of them, so they are short; the network between a gateway and
// its Redis is, too.
const (
	dialTimeout = 250 * time.Millisecond
	ioTimeout   = 100 * time.Millisecond
	idleTimeout = 5 * time.Minute
)

// The library writes to standard error by itself, not as JSON. What matters is returned, counted and logged by whoever
// asked.
func init() { logging.Disable() }

// Connect prepares a client and does no network I/O: a gateway starts without its Redis. The caller closes it.
func Connect(o Options) (*goredis.Client, error) {
	opt, err := o.parse()
	if err != nil {
		return nil, err
	}
	opt.Username, opt.Password = o.Username, o.Password
	opt.ClientName = "clinicgate"
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.PoolTimeout = dialTimeout, ioTimeout, ioTimeout, ioTimeout
	opt.ContextTimeoutEnabled = true
	opt.MaxRetries, opt.DialerRetries = 1, 1
	opt.ConnMaxIdleTime = idleTimeout
	opt.Limiter = newBreaker()
	opt.Protocol, opt.DisableIdentity = 2, true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return goredis.NewClient(opt), nil
}

var errURL = errors.New("redis.url: write rediss://HOST:PORT/DB, without user, password or options")

// parse reads the address itself: the library's own parser takes options from it, one of which is to verify no
// certificate.
func (o Options) parse() (*goredis.Options, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errURL
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	opt := &goredis.Options{Addr: net.JoinHostPort(u.Hostname(), port)}
	if name := strings.TrimPrefix(u.Path, "/"); name != "" {
		n, err := strconv.ParseUint(name, 10, 16)
		if err != nil {
			return nil, errURL
		}
		opt.DB = int(n)
	}
	switch u.Scheme {
	case "redis":
		if o.CA != "" {
			return nil, errors.New("redis.ca: the address is redis://, which has no certificate; write rediss:// or leave ca out")
		}
		return opt, nil
	case "rediss":
		opt.TLSConfig, err = o.tls(u.Hostname())
		return opt, err
	}
	return nil, errURL
}

func (o Options) tls(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if o.CA == "" {
		return c, nil
	}
	text, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fmt.Errorf("reading redis.ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading redis.ca: %s has no certificate in PEM form", o.CA)
	}
	return c, nil
}
