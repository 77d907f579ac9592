package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func init() {
	register("migrate", "Bring all databases to this version's schema", func(cmd *cobra.Command) {
		cmd.Long = "Brings the registry and every practice's database to the schema of this version. The gateway does the same\n" +
			"by itself when it opens a database; after an upgrade this does it for all at once, before the morning."
		stateFlags(cmd)
		cmd.Args = atMost(0)
		cmd.RunE = on(migrateAll)
	})
}

func migrateAll(ctx context.Context, c *call) error {
	bar := newProgress(c.cmd, "Migrating")
	count := 0
	err := c.DB.Migrate(ctx, func(done, total int) {
		count = done
		bar.at(int64(done), int64(total))
	})
	bar.end()
	if err != nil {
		return err
	}
	return c.print(map[string]any{"practices": count}, func(w io.Writer) {
		fmt.Fprintf(w, "The registry and %s have this version's schema.\n", counted(count, "practice database"))
	})
}
