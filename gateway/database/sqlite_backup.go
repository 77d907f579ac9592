package database

import (
	"context"
	"errors"
	"os"
)

// backup writes the database, as of one moment and without its free pages, to the same place below dir. It checks
// whose it is first: a swapped file must not spoil the backup unseen.
func (e *sqliteEngine) backup(ctx context.Context, t target, dir string) error {
	o, err := e.open(ctx, t)
	if err != nil {
		return err
	}
	defer o.db.Close()
	c, err := o.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := checkMeta(ctx, c, t); err != nil && !errors.Is(err, errSchemaOld) {
		return err
	}
	file := (&sqliteEngine{dir: dir}).path(t)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode) // SQLite fills an empty file
	if err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, "VACUUM INTO $1", file)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
