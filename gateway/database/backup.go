package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// Backup copies every database, each in one consistent state and one file, to a new folder of the same layout; the
// gateway may go on serving. The folder takes the place of a state folder when it is restored. The master key is not in
// it.
//
// The registry is copied before the practices, for it holds the newest signed head of every practice's audit log: a
// registry that is newer than a practice's file would say of the copy, as of a file that was put back, that records are
// missing. The other way round nothing is amiss: a log that has gone on since continues from the head that the
// registry knows. What else a practice's file needs of the registry, its key, never changes. A practice that is made
// while the copy runs is not in it: its key may not be in the registry's copy, hence the list is taken first.
func (s *Set) Backup(ctx context.Context, dir string, progress func(done, total int)) error {
	for _, folder := range []string{dir, filepath.Join(dir, "practices")} {
		if err := os.Mkdir(folder, dirMode); err != nil {
			return unavailable("creating the backup's folder", err)
		}
	}
	ids, err := s.engine.list(ctx)
	if err != nil {
		return err
	}
	targets := []target{s.registry.store.target}
	for _, id := range ids {
		t, err := s.target(id)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	for i, t := range targets {
		err := s.engine.backup(ctx, t, dir)
		if err != nil && (t.practice == "" || !errors.Is(err, ErrMissing)) { // a practice may have been removed since
			return outage("backing up the "+t.String(), err)
		}
		if progress != nil {
			progress(i+1, len(targets))
		}
	}
	return nil
}
