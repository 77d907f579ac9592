package database

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"clinicgate/policy"
	"github.com/jackc/pgx/v5"
)

// Postgres says where PostgreSQL keeps the databases. Both addresses are what libpq calls a connection string, as a
// URL or as key=value pairs.
type Postgres struct {
	// Registry is the address of the registry database.
	Registry string
	// Practices is the address of a practice's own database, with {practice} in the place of its id:
	// postgres://gateway@db/clinicgate_{practice}?sslmode=verify-full
	Practices string
	// Password is for both addresses, which are then without one; empty: none is set here.
	Password string
}

const (
	// placeholder is where Practices has the practice's id.
	placeholder = "{practice}"
	// maxAffix leaves room, among the 63 bytes of a name, for the longest id and what remove adds to it.
	maxAffix = 14

	connectTimeout = 5 * time.Second
	keepAlive      = 5 * time.Second
)

// postgresSettings are sent with every connection that its address does not say otherwise for. Nothing may hold the
// writer's lock for ever: a node that is paused in the middle of a transaction loses it.
var postgresSettings = map[string]string{
	"application_name":                    "clinicgate",
	"synchronous_commit":                  "on", // a commit that was answered survives a power cut
	"lock_timeout":                        "5s",
	"statement_timeout":                   "10s",
	"idle_in_transaction_session_timeout": "10s",
	"search_path":                         "public",
}

// addresses are the two connection strings, understood.
type addresses struct {
	registry, practice *pgx.ConnConfig
	prefix, suffix     string // of the name of a practice's database
}

// parsePostgres reads both addresses. Its errors never quote them: they may hold a password.
func parsePostgres(p Postgres) (a addresses, err error) {
	if a.registry, err = parseAddress(p.Registry); err != nil {
		return a, fmt.Errorf("the registry's address: %w", err)
	}
	if p.Password != "" {
		a.registry.Password = p.Password
	}
	if strings.Count(p.Practices, placeholder) != 1 {
		return a, fmt.Errorf("the practices' address: it must hold %s once, in the name of the database", placeholder)
	}
	const standIn = "0practice0"
	if a.practice, err = parseAddress(strings.Replace(p.Practices, placeholder, standIn, 1)); err != nil {
		return a, fmt.Errorf("the practices' address: %w", err)
	}
	if p.Password != "" {
		a.practice.Password = p.Password
	}
	var found bool
	if a.prefix, a.suffix, found = strings.Cut(a.practice.Database, standIn); !found {
		return a, fmt.Errorf("the practices' address: %s must be part of the database's name", placeholder)
	}
	switch affix := a.prefix + a.suffix; {
	case a.prefix == "" || len(affix) > maxAffix:
		return a, fmt.Errorf("the practices' address: the database's name needs 1 to %d bytes around %s, the first in front", maxAffix, placeholder)
	case strings.Trim(affix, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return a, fmt.Errorf("the practices' address: the database's name may have a-z, 0-9 and _ around %s", placeholder)
	case strings.HasPrefix(a.registry.Database, a.prefix) && strings.HasSuffix(a.registry.Database, a.suffix):
		return a, errors.New("the registry's address: its database is named as a practice's would be: choose another name")
	}
	return a, nil
}

func parseAddress(s string) (*pgx.ConnConfig, error) {
	if s == "" {
		return nil, errors.New("it is missing")
	}
	c, err := pgx.ParseConfig(s)
	if err != nil {
		return nil, errors.New("it is no connection string of PostgreSQL's, such as postgres://gateway@db/clinicgate?sslmode=verify-full, or a file it names cannot be read")
	}
	if c.Database == "" {
		return nil, errors.New("it names no database")
	}
	if err := verified(c); err != nil {
		return nil, err
	}
	for name, value := range postgresSettings {
		if _, found := c.RuntimeParams[name]; !found {
			c.RuntimeParams[name] = value
		}
	}
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectTimeout {
		c.ConnectTimeout = connectTimeout
	}
	dialer := net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 3},
	}
	c.DialFunc = dialer.DialContext
	c.OnNotice = nil
	return c, nil
}

// verified refuses a connection over a network that is not encrypted to a server whose certificate and name are
// checked: health records travel on it.
func verified(c *pgx.ConnConfig) error {
	check := func(host string, t *tls.Config) error {
		if local(host) || t != nil && !t.InsecureSkipVerify {
			return nil
		}
		return fmt.Errorf("the server %.80q is not on this machine, so its connection needs sslmode=verify-full", host)
	}
	err := check(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		err = cmp.Or(err, check(f.Host, f.TLSConfig))
	}
	return err
}

// local reports whether a host, as PostgreSQL's addresses name it, is this machine: loopback or a Unix socket.
func local(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || err == nil && addr.IsLoopback()
}

// of is the address of the database t names.
func (a addresses) of(t target) *pgx.ConnConfig {
	if t.practice == "" {
		return a.registry.Copy()
	}
	return a.named(a.name(t.practice))
}

// named is the address of another database beside the practices'.
func (a addresses) named(database string) *pgx.ConnConfig {
	c := a.practice.Copy()
	c.Database = database
	return c
}

func (a addresses) name(id policy.PracticeID) string { return a.prefix + string(id) + a.suffix }

// practiceOf is the practice whose database has this name. What is unfinished or removed has an underscore where a
// practice's name begins, which no id has.
func (a addresses) practiceOf(database string) (policy.PracticeID, bool) {
	rest, found := strings.CutPrefix(database, a.prefix)
	id, ends := strings.CutSuffix(rest, a.suffix)
	if !found || !ends {
		return "", false
	}
	practice, err := policy.ParsePracticeID(id)
	return practice, err == nil
}
