package config

import (
	"net/netip"
	"net/url"
	"slices"

	"clinicgate/policy"
)

// Cluster is cluster.yaml: the servers that several gateways share. Without it each gateway is by itself, with its
// databases in its state folder.
type Cluster struct {
	Postgres *Postgres `json:"postgres,omitempty" yaml:"postgres,omitempty"`
	Redis    *Redis    `json:"redis,omitempty" yaml:"redis,omitempty"`
}

// Postgres is where the registry and the practices' databases are.
type Postgres struct {
	// Registry is the connection string of the registry's database.
	Registry string `json:"registry" yaml:"registry"`
	// Practices is that of a practice's own database, with {practice} in the place of its id.
	Practices string `json:"practices" yaml:"practices"`
	// Password is for both; without it they name a client certificate, or the server trusts the gateway.
	Password *SecretFile `json:"password,omitempty" yaml:"password,omitempty"`
	// OpenPractices bounds how many practices' databases this node has open at once, with up to 3 connections each
	// beside the registry's 9; 0 means 12.
	OpenPractices int `json:"open_practices,omitempty" yaml:"open_practices,omitempty"`
}

// Redis is where the sign-in budgets are counted and changes are announced. It may lose everything.
type Redis struct {
	// URL is redis://HOST:PORT/DB on this machine, rediss://HOST:PORT/DB elsewhere.
	URL string `json:"url" yaml:"url"`
	// CA is the file with the certificate authority of its certificate; empty: those of the system.
	CA string `json:"ca,omitempty" yaml:"ca,omitempty"`
	// Username and Password, where the server wants them.
	Username string      `json:"username,omitempty" yaml:"username,omitempty"`
	Password *SecretFile `json:"password,omitempty" yaml:"password,omitempty"`
}

// SecretFile names a secret without holding it.
type SecretFile struct {
	File string `json:"file" yaml:"file"`
}

// DecodeCluster reads cluster.yaml as DecodeDocument reads a policy. What only a connection tells is not checked.
func DecodeCluster(file string, data []byte) (Cluster, error) {
	var c Cluster
	r, err := decode(file, data, &c)
	if err != nil {
		return Cluster{}, err
	}
	if err := r.verdict(c.problems()); err != nil {
		return Cluster{}, err
	}
	return c, nil
}

func (c Cluster) problems() []policy.Problem {
	if c.Postgres == nil {
		return []policy.Problem{{
			Field: "postgres", Reason: "is missing", Remedy: "gateways share their practices by a PostgreSQL server: name its registry and practices databases",
		}}
	}
	ps := slices.Concat(
		secretFree("postgres.registry", c.Postgres.Registry), secretFree("postgres.practices", c.Postgres.Practices),
		c.Postgres.Password.problems("postgres.password"),
	)
	if c.Postgres.OpenPractices < 0 || c.Postgres.OpenPractices > 1000 {
		ps = append(ps, policy.Problem{Field: "postgres.open_practices", Reason: "is not between 1 and 1000", Remedy: "leave it out for 12"})
	}
	if c.Redis == nil {
		return ps
	}
	return slices.Concat(ps, c.Redis.problems(), c.Redis.Password.problems("redis.password"))
}

// secretFree refuses an address with a password in it: cluster.yaml is read by more people than its secrets.
func secretFree(field, address string) []policy.Problem {
	if address == "" {
		return []policy.Problem{{Field: field, Reason: "is missing", Remedy: "write postgres://USER@HOST/DATABASE?sslmode=verify-full"}}
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil // key=value pairs, or nothing at all: the database's own parser says
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return []policy.Problem{{Field: field, Reason: "has a password in it", Remedy: "put the password in a file that only the gateway can read, and name it by password: {file: …}"}}
	}
	return nil
}

func (r *Redis) problems() []policy.Problem {
	problem := func(reason, remedy string) []policy.Problem {
		return []policy.Problem{{Field: "redis.url", Reason: reason, Remedy: remedy}}
	}
	u, err := url.Parse(r.URL)
	switch {
	case r.URL == "":
		return problem("is missing", "write rediss://HOST:6379")
	case err != nil || u.Hostname() == "" || u.Scheme != "redis" && u.Scheme != "rediss":
		return problem("is no address of Redis", "write rediss://HOST:6379")
	case u.User != nil:
		return problem("has a user or password in it", "write them as username and password: {file: …}")
	case u.Scheme == "redis" && !loopback(u.Hostname()):
		return problem("is not encrypted, and not on this machine", "write rediss://"+u.Host)
	}
	return nil
}

func (s *SecretFile) problems(field string) []policy.Problem {
	if s != nil && s.File == "" {
		return []policy.Problem{{Field: field + ".file", Reason: "is missing", Remedy: "name the file with the password"}}
	}
	return nil
}

// loopback reports whether a host is this machine, by its name or address.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
