package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Status is what the registry says of a practice, also of a removed one.
type Status struct {
	Practice   policy.PracticeID
	Generation int64
	Version    int64
	Suspended  bool
	Created    time.Time // this generation
	Removed    time.Time // zero: it was not
	Changed    time.Time // the last change of anything above, by whom and why
	By         Author
}

// Status reads it; ErrUnknown when there never was such a practice.
func (d *Directory) Status(ctx context.Context, id policy.PracticeID) (Status, error) {
	var s state
	err := d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		s, err = readState(ctx, tx, id)
		return err
	})
	if err != nil {
		return Status{}, fmt.Errorf("reading practice %.60q: %w", string(id), err)
	}
	return Status{
		Practice: s.Practice, Generation: s.Generation, Version: s.Version, Suspended: s.Suspended,
		Created: instant(s.Created), Removed: instant(s.Removed), Changed: instant(s.Changed), By: s.Author,
	}, nil
}

func instant(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}

// Suspend stops serving the practice. Suspending it twice changes nothing.
func (d *Directory) Suspend(ctx context.Context, id policy.PracticeID, by Author) error {
	return d.changeState(ctx, "suspending", id, by, func(s *state) bool {
		changed := !s.Suspended
		s.Suspended = true
		return changed
	})
}

// Resume serves it again.
func (d *Directory) Resume(ctx context.Context, id policy.PracticeID, by Author) error {
	return d.changeState(ctx, "resuming", id, by, func(s *state) bool {
		changed := s.Suspended
		s.Suspended = false
		return changed
	})
}

// Remove takes the practice away and frees its hosts. Its history stays; the id can be applied again, as a new generation.
func (d *Directory) Remove(ctx context.Context, id policy.PracticeID, by Author) error {
	return d.changeState(ctx, "removing", id, by, func(s *state) bool {
		s.Removed = d.now().UnixMicro()
		return true
	})
}

// changeState changes the row of a practice that exists; edit says whether there is anything to store.
func (d *Directory) changeState(ctx context.Context, doing string, id policy.PracticeID, by Author, edit func(*state) bool) error {
	by, err := by.clean()
	if err != nil {
		return err
	}
	var r row
	var after func()
	err = d.reg.Write(ctx, func(tx *database.Tx) error {
		var err error
		if r, err = readRow(ctx, tx, id); err != nil {
			return err
		}
		if r.Removed != 0 {
			return ErrUnknown
		}
		after = nil
		if !edit(&r.state) {
			return nil
		}
		after, err = d.storeState(ctx, tx, &r, by)
		return err
	})
	if err != nil {
		if errors.Is(err, database.ErrUnavailable) {
			d.mark([]policy.PracticeID{id})
		}
		return fmt.Errorf("%s practice %.60q: %w", doing, string(id), err)
	}
	d.announce([]*row{&r}, []func(){after})
	return nil
}

func (d *Directory) storeState(ctx context.Context, tx *database.Tx, r *row, by Author) (after func(), err error) {
	now := d.now()
	r.Revision, r.Changed, r.Author = r.Revision+1, now.UnixMicro(), by
	if err := writeState(ctx, tx, r.state); err != nil {
		return nil, err
	}
	if r.Removed != 0 {
		if err := deleteHosts(ctx, tx, r.Practice); err != nil {
			return nil, err
		}
	}
	return d.feed.PublishTx(ctx, tx, bus.Change{At: now, Practice: r.Practice, Kind: bus.KindPractice})
}
