package core

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"clinicgate/config"
	"clinicgate/gateway/database"
	"clinicgate/gateway/redis"
	"clinicgate/policy"
)

// Files are the places that an operator names, in the clinicgate block of the
// Caddyfile or by --state on the command line.
type Files struct {
	// State is the folder with the databases. It has no default: two programs that
	// guess differently would work on two installations.
	State string `json:"state,omitempty"`
	// MasterKey is the file with the master key. Empty means "master.key" in State.
	MasterKey string `json:"master_key,omitempty"`
	// Platform is the platform's own document (floor, regions, retention). Empty means
	// "platform.yaml" in State if that is there, else the built-in defaults.
	Platform string `json:"platform,omitempty"`
	// Cluster is the document that says where PostgreSQL and Redis are, when several
	// gateways share them. Empty: the databases are in State.
	Cluster string `json:"cluster,omitempty"`
}

// ReadOptions fills in the defaults and reads the platform's document.
func ReadOptions(f Files) (Options, error) {
	if f.State == "" {
		return Options{}, fmt.Errorf("clinicgate: state is missing: name the folder for the databases, such as /var/lib/clinicgate")
	}
	o := Options{State: f.State, MasterKey: f.MasterKey}
	if o.MasterKey == "" {
		o.MasterKey = filepath.Join(f.State, "master.key")
	}
	if f.Platform == "" {
		if beside := filepath.Join(f.State, "platform.yaml"); exists(beside) {
			f.Platform = beside
		}
	}
	var err error
	if o.Platform, err = readPlatform(f.Platform); err != nil {
		return o, err
	}
	if f.Cluster != "" {
		err = readCluster(f.Cluster, &o)
	}
	return o, err
}

// maxSecret bounds a file with a password, in bytes.
const maxSecret = 4 << 10

// readCluster reads where the servers are, and the passwords that it names.
func readCluster(file string, o *Options) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the cluster document: %w", err)
	}
	c, err := config.DecodeCluster(file, data)
	if err != nil {
		return err
	}
	o.Postgres = &database.Postgres{Registry: c.Postgres.Registry, Practices: c.Postgres.Practices}
	o.OpenPractices = c.Postgres.OpenPractices
	if o.OpenPractices == 0 {
		o.OpenPractices = defaultOpenPractices
	}
	if o.Postgres.Password, err = readSecret(c.Postgres.Password); err != nil || c.Redis == nil {
		return err
	}
	o.Redis = &redis.Options{URL: c.Redis.URL, CA: c.Redis.CA, Username: c.Redis.Username}
	o.Redis.Password, err = readSecret(c.Redis.Password)
	return err
}

// defaultOpenPractices leaves room for two nodes on a PostgreSQL as Debian sets it up,
// with 100 connections.
const defaultOpenPractices = 12

// readSecret reads the first line of the file, "" when none is named.
func readSecret(s *config.SecretFile) (string, error) {
	if s == nil {
		return "", nil
	}
	data, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" || len(line) > maxSecret {
		return "", fmt.Errorf("reading a password: the first line of %s is empty or too long", s.File)
	}
	return line, nil
}

func readPlatform(file string) (policy.Platform, error) {
	if file == "" {
		return config.DecodePlatform("platform.yaml (built in)", []byte("{}"))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return policy.Platform{}, fmt.Errorf("reading the platform document: %w", err)
	}
	return config.DecodePlatform(file, data)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
