package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"clinicgate/gateway/database/migrations"
)

// ErrUnfinished says that the databases are a copy that was broken off, or that is still being made. It also matches
// ErrUnavailable.
var ErrUnfinished = errors.New("a copy that is not complete")

// ErrInUse says that databases are no place for a copy: they are complete, and have practices. It also matches
// ErrUnavailable.
var ErrInUse = errors.New("the databases are in use")

// Backup copies everything to a new folder, of the same layout as a state folder whatever kind of database s has, and
// takes the place of one when it is restored. The gateway may go on serving. The master key is not in it.
func (s *Set) Backup(ctx context.Context, dir string, progress func(done, total int)) (err error) {
	if err := os.Mkdir(dir, dirMode); err != nil {
		return unavailable("creating the backup's folder", err)
	}
	to, err := openCopy(ctx, Options{Dir: dir, Now: s.now}, s.registry.store.target.migrations, s.practice.migrations)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	err = s.CopyTo(ctx, to, func(_ Copied, done, total int) {
		if progress != nil {
			progress(done, total)
		}
	})
	if err != nil {
		return err
	}
	if err := to.Complete(ctx); err != nil {
		return err
	}
	return outageOrNil("creating the backup's folder", syncDir(filepath.Dir(dir)))
}

// OpenCopy opens databases to copy others to, making them if need be. Until Complete, Open refuses them with
// ErrUnfinished, so that nobody serves half a copy. It refuses databases that have practices and are no copy with
// ErrInUse.
func OpenCopy(ctx context.Context, o Options) (*Set, error) {
	return openCopy(ctx, o, migrations.Registry(), migrations.Practice())
}

func openCopy(ctx context.Context, o Options, registry, practice fs.FS) (*Set, error) {
	o.copying = true
	s, err := open(ctx, o, registry, practice)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

const setOwner = `UPDATE meta SET owner = $1 WHERE id = 1 AND owner <> $1`

// begin marks the databases as a copy in the making.
func (s *Set) begin(ctx context.Context) error {
	ids, err := s.Practices(ctx)
	if err != nil {
		return err
	}
	return s.registry.Write(ctx, func(tx *Tx) error {
		marked, err := tx.Exec(ctx, setOwner, unfinishedRegistry)
		if err == nil && marked > 0 && len(ids) > 0 {
			err = &failure{doing: "making a copy", class: ErrInUse, cause: fmt.Errorf("they have practices: %d", len(ids))}
		}
		return err
	})
}

// Discard makes the databases a copy in the making again, whatever is in them: nobody opens them any more to serve from,
// and they can be copied to once more. Nodes that have them open go on until they are restarted.
func (s *Set) Discard(ctx context.Context) error {
	return s.registry.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, setOwner, unfinishedRegistry)
		return err
	})
}

// Complete makes the copy databases like any others.
func (s *Set) Complete(ctx context.Context) error {
	return s.registry.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, setOwner, target{}.owner())
		return err
	})
}
