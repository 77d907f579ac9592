package database

import (
	"context"
	"database/sql"
	"strconv"
)

// remove: no new connections, end those there are, rename. Broken off anywhere, it can be run again. What other nodes
// are doing in the database fails as unavailable and leaves nothing.
func (e *postgresEngine) remove(ctx context.Context, t target, stamp int64) error {
	name := e.name(t.practice)
	err := e.onServer(ctx, func(db *sql.DB) error {
		if err := run(ctx, db, `ALTER DATABASE %s ALLOW_CONNECTIONS false`, name); err != nil {
			return err
		}
		const end = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1`
		for try := 0; ; try++ {
			if _, err := db.ExecContext(ctx, end, name); err != nil {
				return err
			}
			err := run(ctx, db, `ALTER DATABASE %s RENAME TO %s`, name, e.removedName(t, stamp))
			switch state := sqlState(err); {
			case state == "42P04" || state == "23505":
				stamp++ // removed twice within a second
			case state != "55006": // object in use: a connection is still on its way out
				return err
			}
			if try == 10 {
				return err
			}
		}
	})
	if sqlState(err) == "3D000" {
		return missing(t)
	}
	return outageOrNil("removing the "+t.String(), err)
}

// removedName keeps the id readable for whoever looks for it.
func (e *postgresEngine) removedName(t target, stamp int64) string {
	return e.prefix + "_" + string(t.practice) + "_" + strconv.FormatInt(stamp, 36) + e.suffix
}
