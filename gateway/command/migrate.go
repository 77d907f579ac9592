package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"clinicgate/gateway/core"
)

func init() {
	register("migrate", "Bring all databases to this version's schema, or to PostgreSQL", func(cmd *cobra.Command) {
		cmd.Long = "Brings the registry and every practice's database to the schema of this version. The gateway does the same\n" +
			"by itself when it opens a database; after an upgrade this does it for all at once, before the morning.\n\n" +
			"With --to it moves the state folder to PostgreSQL instead, in two steps:\n" +
			"  --to CLUSTER.yaml            copies everything while the gateway serves, and changes nothing. It can be\n" +
			"                               broken off and repeated: what is the same already is left alone.\n" +
			"  --to CLUSTER.yaml --finish   copies what has changed since, freezes the state folder, copies the rest and\n" +
			"                               verifies it. Who is signed in goes on; whatever would have to be written is\n" +
			"                               answered 503 until the gateway serves from PostgreSQL. If anything fails, the\n" +
			"                               folder is thawed and nothing has happened.\n" +
			"  --abandon                    thaws the folder: it is served from again, as it was when it was frozen."
		cmd.Example = "  gateway migrate --config /etc/clinicgate/Caddyfile --to /etc/clinicgate/cluster.yaml\n" +
			"  gateway migrate --config /etc/clinicgate/Caddyfile --to /etc/clinicgate/cluster.yaml --finish"
		stateFlags(cmd)
		cmd.Flags().String("to", "", "cluster document that says where PostgreSQL is")
		cmd.Flags().Bool("finish", false, "freeze the state folder and complete the move")
		cmd.Flags().Bool("abandon", false, "take the move back: thaw the state folder; with --to, discard the copy as well")
		cmd.Flags().Bool("yes", false, "do not ask")
		reasonFlag(cmd)
		cmd.Args = atMost(0)
		cmd.RunE = plain(migrate)
	})
}

func migrate(ctx context.Context, cmd *cobra.Command, args []string) error {
	to, finish, abandon := text(cmd, "to"), yes(cmd, "finish"), yes(cmd, "abandon")
	files, err := stateFiles(cmd)
	step := (*call).migrateSchema
	switch {
	case err != nil:
		return err
	case finish && abandon:
		return usage("--finish completes the move and --abandon takes it back: give one of them")
	case finish && to == "":
		return usage("--finish needs --to: the cluster document that says where PostgreSQL is")
	case abandon:
		step = (*call).abandonMove
	case to != "":
		step = (*call).move
	}
	if to != "" || abandon {
		files.Cluster = "" // what is moved is the folder, also when the Caddyfile has the new line already
	}
	options, err := core.ReadOptions(files)
	if err != nil {
		return err
	}
	return with(ctx, options, cmd, args, func(ctx context.Context, c *call) error { return step(c, ctx) })
}

func (c *call) migrateSchema(ctx context.Context) error {
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
