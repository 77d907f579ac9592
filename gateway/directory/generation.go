package directory

import (
	"context"
	"errors"
	"fmt"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// CheckGeneration reports (nil) whether a database of that generation is the practice's: a database.Guard. While the
// practice is removed, both the one that is being put aside and the one that is being made for the next generation are.
// When the registry cannot be read, what this node knows counts.
func (d *Directory) CheckGeneration(ctx context.Context, id policy.PracticeID, generation int64) error {
	var s state
	err := d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		s, err = readState(ctx, tx, id)
		return err
	})
	switch {
	case errors.Is(err, ErrUnknown):
		s.Removed = 1 // never there: generation 0 is over, 1 may be in the making
	case err != nil:
		p := d.ByID(id)
		if p == nil {
			return fmt.Errorf("reading the generation of practice %.60q: %w", string(id), err)
		}
		s.Generation = p.Generation
	}
	if generation == s.Generation || s.Removed != 0 && generation == s.Generation+1 {
		return nil
	}
	return fmt.Errorf("practice %.60q is in generation %d, the file of generation %d: put the right one back: %w",
		string(id), s.Generation, generation, database.ErrSwapped)
}
