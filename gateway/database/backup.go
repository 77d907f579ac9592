package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// Backup copies every database, each in one consistent state and one file, to a new folder of the same layout; the
// gateway may go on serving. The registry comes last, so that it knows all that the practices' databases refer to. The
// folder takes the place of a state folder when it is restored. The master key is not in it.
func (s *Set) Backup(ctx context.Context, dir string, progress func(done, total int)) error {
	if err := os.Mkdir(dir, dirMode); err != nil {
		return unavailable("creating the backup's folder", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "practices"), dirMode); err != nil {
		return unavailable("creating the backup's folder", err)
	}
	ids, err := s.engine.list(ctx)
	if err != nil {
		return err
	}
	total := len(ids) + 1
	for i, id := range ids {
		t, err := s.target(id)
		if err != nil {
			return err
		}
		err = s.engine.backup(ctx, t, dir)
		if err != nil && !errors.Is(err, ErrMissing) { // removed since it was listed
			return outage("backing up the "+t.String(), err)
		}
		if progress != nil {
			progress(i+1, total)
		}
	}
	if err := s.engine.backup(ctx, s.registry.store.target, dir); err != nil {
		return outage("backing up the registry", err)
	}
	if progress != nil {
		progress(total, total)
	}
	return nil
}
