package core

import (
	"fmt"
	"os"
	"path/filepath"

	"clinicgate/config"
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
	platform, err := readPlatform(f.Platform)
	o.Platform = platform
	return o, err
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
