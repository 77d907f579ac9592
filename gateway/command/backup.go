package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"clinicgate/gateway/core"
	"clinicgate/policy"
)

func init() {
	register("backup", "Copy everything to a new folder, and prove the copy", func(cmd *cobra.Command) {
		cmd.Use = "backup DIR"
		cmd.Long = "Copies all databases, wherever they are, to a new folder while the gateway serves. Then it opens the copy and\n" +
			"checks every record and signature of every audit log in it. Exits with 1 when there is no copy, or when a log\n" +
			"in it is not intact.\n\n" +
			"The folder is a state folder: it is restored by putting it in the place of one, or to PostgreSQL with\n" +
			"`gateway migrate --state DIR --to CLUSTER.yaml --finish`. The master key is not in it and is needed for both."
		stateFlags(cmd)
		cmd.Args = one("the name of a new folder")
		cmd.RunE = on(backUp)
	})
}

func backUp(ctx context.Context, c *call) error {
	dir := c.args[0]
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		return refuse("%s is there already: a backup goes to a new folder", dir)
	}
	bar := newProgress(c.cmd, "Copying")
	err := c.DB.Backup(ctx, dir, func(done, total int) { bar.at(int64(done), int64(total)) })
	bar.end()
	if _, missing := os.Lstat(dir); err != nil && missing == nil {
		return refuse("there is no backup, delete what is in %s: %w", dir, err)
	}
	if err != nil {
		return err
	}
	copied := c.options
	copied.State, copied.Postgres, copied.OpenPractices = dir, nil, 0
	reports, err := c.verifyCopy(ctx, copied)
	if err != nil {
		return refuse("%s is a copy, but it could not be checked: %w", dir, err)
	}
	out := map[string]any{"backup": dir, "practices": len(reports), "intact": len(bad(reports)) == 0, "logs": reports}
	err = c.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "The registry and %s are in %s.\n", counted(len(reports), "practice database"), dir)
		if len(bad(reports)) == 0 {
			fmt.Fprintf(w, "Every record and signature of %s was checked. The master key is not in it: keep that apart.\n", counted(len(reports), "audit log"))
		}
	})
	if err != nil {
		return err
	}
	return verdict(reports)
}

// verifyCopy verifies the logs of all practices of a copy.
func (c *call) verifyCopy(ctx context.Context, copied core.Options) (reports []verified, err error) {
	copied.Redis = nil // nothing is announced of a copy
	there, err := core.OpenTool(ctx, copied)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, there.Close()) }()
	var ids []policy.PracticeID
	for _, p := range there.Directory.All() {
		ids = append(ids, p.ID)
	}
	return (&call{Core: there, cmd: c.cmd}).verify(ctx, ids)
}
