package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/bus"
	"clinicgate/gateway/core"
	"clinicgate/gateway/vault"
)

func init() {
	register("keys", "The master key and the signing keys: init, rotate", func(cmd *cobra.Command) {
		cmd.Long = "The master key protects everything that is stored encrypted; the signing keys sign the assertions for the\n" +
			"backends."
		stateFlags(cmd)
		group(cmd, keysInit(), keysRotate())
	})
}

func keysInit() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the master key of a new installation",
		Long: "Makes the master key, and the state folder if need be. A key that is there is never replaced: what is\n" +
			"sealed under it would be lost. Keep a copy apart from the databases' backups.",
		RunE: plain(func(_ context.Context, cmd *cobra.Command, _ []string) error {
			options, err := stateOptions(cmd)
			if err != nil {
				return err
			}
			if err := initKeys(options); err != nil {
				return err
			}
			if yes(cmd, "json") {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"master_key": options.MasterKey, "state": options.State})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The master key is in %s. Keep a copy of it in a safe place, apart from the\n"+
				"databases' backups: without it nothing that is stored encrypted can be read again.\n", options.MasterKey)
			return err
		}),
	}
}

func initKeys(o core.Options) error {
	for _, folder := range []string{o.State, filepath.Dir(o.MasterKey)} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return refuse("making the folder: %w", err)
		}
	}
	info, err := os.Stat(o.State)
	if err != nil {
		return refuse("looking at the state folder: %w", err)
	}
	if err := checkOwner(o.State, info); err != nil {
		return err
	}
	return vault.CreateMasterKey(o.MasterKey)
}

func keysRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make the next signing key, and let the present one retire",
		Long: "Makes the next signing key. It is published at once and signs in 12 minutes, when every backend knows it;\n" +
			"the present one is published for 12 minutes more. Nobody is signed out.",
		RunE: on(rotateKeys),
	}
	reasonFlag(cmd)
	return cmd
}

func rotateKeys(ctx context.Context, c *call) error {
	before, err := keyIDs(c.Vault.Signing())
	if err != nil {
		return err
	}
	c.recordEverywhere(ctx, c.event(audit.System, "signing_key_rotated", "signing keys"))
	if err := c.Vault.Signing().Rotate(ctx); err != nil {
		return err
	}
	if err := c.Feed.Publish(ctx, bus.Change{Kind: bus.KindKeys}); err != nil {
		fmt.Fprintf(c.errs(), "gateway: nodes that serve could not be told and learn of it within a minute: %v\n", err)
	}
	after, err := keyIDs(c.Vault.Signing())
	if err != nil {
		return err
	}
	current, _ := c.Vault.Signing().Current()
	rotated := len(after) > len(before)
	return c.print(map[string]any{"rotated": rotated, "signs_now": current, "published": after}, func(w io.Writer) {
		if rotated {
			fmt.Fprintln(w, "The next signing key is published. It signs in 12 minutes.")
		} else {
			fmt.Fprintln(w, "A next signing key was waiting already: nothing was changed.")
		}
	})
}

// recordEverywhere records what concerns all practices in each one's log. A rotation may
// be urgent: a log that cannot be written is named, and holds nothing up.
func (c *call) recordEverywhere(ctx context.Context, e audit.Event) {
	bar := newProgress(c.cmd, "Recording")
	defer bar.end()
	practices := c.Directory.All()
	for i, p := range practices {
		if err := c.Audit.Append(ctx, p.ID, e); err != nil {
			fmt.Fprintf(c.errs(), "gateway: this could not be recorded in the log of %s: %v\n", p.ID, err)
		}
		bar.at(int64(i+1), int64(len(practices)))
	}
}

// keyIDs are the ids of the published keys.
func keyIDs(s *vault.Signing) ([]string, error) {
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		return nil, fmt.Errorf("reading the published keys: %w", err)
	}
	ids := make([]string, len(set.Keys))
	for i, k := range set.Keys {
		ids[i] = k.ID
	}
	return ids, nil
}
