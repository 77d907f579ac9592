package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"clinicgate/gateway/core"
)

// stateFlags adds the two ways to name the installation a command works on.
func stateFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().String("state", "", "state folder of the embedded databases")
	cmd.PersistentFlags().StringP("config", "c", "", "Caddyfile that the gateway runs with, to read the state folder from")
	cmd.PersistentFlags().Bool("json", false, "print JSON for programs")
}

// stateOptions finds the installation.
func stateOptions(cmd *cobra.Command) (core.Options, error) {
	files, err := stateFiles(cmd)
	if err != nil {
		return core.Options{}, err
	}
	return core.ReadOptions(files)
}

func stateFiles(cmd *cobra.Command) (core.Files, error) {
	state, config := text(cmd, "state"), text(cmd, "config")
	switch {
	case state != "" && config != "":
		return core.Files{}, usage("--state and --config both name the installation: give one of them")
	case state != "":
		return core.Files{State: state}, nil
	case config != "":
		served, err := readConfig(config)
		if err != nil {
			return core.Files{}, err
		}
		if served.Apps.Clinicgate == nil {
			return core.Files{}, refuse("%s has no clinicgate block among its global options: add `clinicgate { state DIR }`", config)
		}
		return *served.Apps.Clinicgate, nil
	}
	return core.Files{}, usage("name the installation with --state DIR or --config CADDYFILE")
}

// served is what the command line needs to know of the config that the gateway runs with.
type served struct {
	Admin struct {
		Disabled bool   `json:"disabled"`
		Listen   string `json:"listen"`
	} `json:"admin"`
	Apps struct {
		Clinicgate *core.Files `json:"clinicgate"`
	} `json:"apps"`
}

// maxConfig bounds a Caddyfile, in bytes.
const maxConfig = 4 << 20

// readConfig reads a Caddyfile by adapting it as `gateway run` does, so that both see
// the same; a name that ends in .json is a config in JSON.
func readConfig(file string) (served, error) {
	var config served
	source, err := readBounded(file, maxConfig)
	if err != nil {
		return config, fmt.Errorf("reading the Caddyfile: %w", err)
	}
	if !strings.HasSuffix(file, ".json") {
		adapter := caddyconfig.GetAdapter("caddyfile")
		if adapter == nil {
			return config, errors.New("this program was built without Caddyfile support: use --state DIR")
		}
		if source, _, err = adapter.Adapt(source, map[string]any{"filename": file}); err != nil {
			return config, fmt.Errorf("reading the Caddyfile: %w", err)
		}
	}
	if err := json.Unmarshal(source, &config); err != nil {
		return config, fmt.Errorf("reading %s: %w", file, err)
	}
	return config, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, file, limit)
}

func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d KiB", name, limit>>10)
	}
	return data, err
}

// checkState refuses to work where there is no installation, instead of making an empty
// one behind a mistyped name, and to leave files behind that the gateway cannot read.
func checkState(o core.Options) error {
	info, err := os.Stat(o.State)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return refuse("there is no state folder %s: check the name, or make a new installation with `gateway keys init`", o.State)
	case err != nil:
		return refuse("looking at the state folder: %w", err)
	case !info.IsDir():
		return refuse("the state %s is not a folder", o.State)
	}
	if _, err := os.Stat(o.MasterKey); errors.Is(err, os.ErrNotExist) {
		return refuse("the master key %s is not there: put it back from your backup, or make a new installation with `gateway keys init`", o.MasterKey)
	}
	return checkOwner(o.State, info)
}
