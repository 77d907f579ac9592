package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

const (
	followTimeout  = 2 * time.Second        // one change, read while the feed waits
	retryInterval  = 250 * time.Millisecond // for a change that could not be read
	reviewInterval = time.Minute            // for a change whose news was lost
)

// rebuild reads everything and replaces the index. The caller holds mu, which keeps a change that is committed after the
// reading from being published before it.
func (d *Directory) rebuild(ctx context.Context) error {
	var rows []*row
	err := d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		rows, err = readAll(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	d.index.Store(newIndex(buildAll(rows, d.platform)))
	for _, r := range rows {
		d.revisions[r.Practice] = r.Revision
		delete(d.stale, r.Practice)
	}
	return nil
}

// OnChange lets fn know of every practice whose entry has changed here, after it has: whoever holds on to what came out of
// the old one, such as open streams, lets go of it. Call it before the directory is used; fn must be quick.
func (d *Directory) OnChange(fn func(policy.PracticeID)) { d.onChange = append(d.onChange, fn) }

// publish puts newer rows into the index and tells those who asked with OnChange.
func (d *Directory) publish(rows ...*row) {
	for _, c := range d.swap(rows) {
		d.tell(c.id, c.retired)
	}
}

// OnRetire lets fn know of every practice of which a generation is over: it was removed, whether or not its id is in use
// again by the time this node learns of it. Like OnChange, and called before it.
func (d *Directory) OnRetire(fn func(policy.PracticeID)) { d.onRetire = append(d.onRetire, fn) }

// over reports whether p's generation is over now that after is in its place; nil is none.
func (p *Practice) over(after *Practice) bool {
	return p != nil && (after == nil || after.Generation != p.Generation)
}

func (d *Directory) tell(id policy.PracticeID, retired bool) {
	if retired {
		for _, fn := range d.onRetire {
			fn(id)
		}
	}
	for _, fn := range d.onChange {
		fn(id)
	}
}

// swap changes the index. Rows that were read before others that are in the index already are dropped, so two changes at
// once cannot end with the older one in force.
func (d *Directory) swap(rows []*row) []change {
	d.mu.Lock()
	defer d.mu.Unlock()
	changes := make([]change, 0, len(rows))
	for _, r := range rows {
		if r.Revision <= d.revisions[r.Practice] {
			continue
		}
		d.revisions[r.Practice] = r.Revision
		c := change{id: r.Practice}
		if r.Removed == 0 {
			c.practice = build(r, d.platform)
		}
		c.retired = d.ByID(r.Practice).over(c.practice)
		changes = append(changes, c)
	}
	if len(changes) > 0 {
		d.index.Store(d.index.Load().with(changes))
	}
	return changes
}

// Reload reads these practices anew, and with no name all that have changed. Nothing else is read or compiled. What
// cannot be read now is read by the next Reload or by Run; until then the policy that is known stays in force.
func (d *Directory) Reload(ctx context.Context, changed ...policy.PracticeID) error {
	marks, known := d.mark(changed)
	var rows []*row
	err := d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		ids := slices.Sorted(maps.Keys(marks))
		if len(changed) == 0 {
			if ids, err = outdated(ctx, tx, known); err != nil {
				return err
			}
		}
		rows, err = readRows(ctx, tx, ids)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading changed practices: %w", err)
	}
	d.publish(rows...)
	d.unmark(marks)
	return nil
}

// mark notes that these practices have changed. It returns all that are marked, each with the number of its mark, and,
// when none is named, what revision is known of every practice.
func (d *Directory) mark(ids []policy.PracticeID) (marks, known map[policy.PracticeID]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.marks++
		d.stale[id] = d.marks
	}
	if len(ids) == 0 {
		known = maps.Clone(d.revisions)
	}
	return maps.Clone(d.stale), known
}

// unmark drops marks after the practices were read, but not those set since: they may stand for a later change.
func (d *Directory) unmark(marks map[policy.PracticeID]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.stale, func(id policy.PracticeID, mark int64) bool { return marks[id] == mark })
}

func readRows(ctx context.Context, tx *database.Tx, ids []policy.PracticeID) ([]*row, error) {
	rows := make([]*row, 0, len(ids))
	for _, id := range ids {
		r, err := readRow(ctx, tx, id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, &r)
	}
	return rows, nil
}

// outdated are the practices of which the registry has a newer revision than the index.
func outdated(ctx context.Context, tx *database.Tx, known map[policy.PracticeID]int64) ([]policy.PracticeID, error) {
	var ids []policy.PracticeID
	err := each(ctx, tx, `SELECT practice, revision FROM practice ORDER BY practice`, func(rows *sql.Rows) error {
		var id policy.PracticeID
		var revision int64
		if err := rows.Scan(&id, &revision); err != nil {
			return err
		}
		if revision > known[id] {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// Follow is a handler for the change feed. It returns when the change is in force here, or has been left to Run.
func (d *Directory) Follow(c bus.Change) {
	if c.Practice == "" || (c.Kind != bus.KindPolicy && c.Kind != bus.KindPractice) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), followTimeout)
	defer cancel()
	_ = d.Reload(ctx, c.Practice) // a failure leaves the practice marked, and Run tries again
}

// Run reads what Follow could not, and once a minute looks for changes whose news was lost. It returns when ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	retry, review := time.NewTicker(retryInterval), time.NewTicker(reviewInterval)
	defer retry.Stop()
	defer review.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry.C:
			d.retry(ctx)
		case <-review.C:
			_ = d.Reload(ctx)
		}
	}
}

// retry reads the practices that are known to have changed and could not be read yet.
func (d *Directory) retry(ctx context.Context) {
	d.mu.Lock()
	ids := slices.Sorted(maps.Keys(d.stale))
	d.mu.Unlock()
	if len(ids) > 0 {
		_ = d.Reload(ctx, ids...)
	}
}

// SetPlatform compiles all practices against another platform document. A practice whose policy no longer satisfies it,
// because the floor was raised, is Broken from now on: [Directory.CheckPlatform] says before which ones will be. When the
// registry cannot be read, everything stays as it was. The platform must not be changed afterwards.
func (d *Directory) SetPlatform(ctx context.Context, platform policy.Platform) error {
	before := d.All()
	if err := d.replacePlatform(ctx, platform); err != nil {
		return fmt.Errorf("reading the practices for the new platform document: %w", err)
	}
	for _, p := range before {
		if now := d.ByID(p.ID); now != p {
			d.tell(p.ID, p.over(now))
		}
	}
	return nil
}

func (d *Directory) replacePlatform(ctx context.Context, platform policy.Platform) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if reflect.DeepEqual(d.platform, platform) {
		return nil
	}
	old := d.platform
	d.platform = platform
	err := d.rebuild(ctx)
	if err != nil {
		d.platform = old
	}
	return err
}

// CheckPlatform says which practices could not be served under that platform document. It changes nothing.
func (d *Directory) CheckPlatform(ctx context.Context, platform policy.Platform) ([]Problem, error) {
	var rows []*row
	err := d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		rows, err = readAll(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the practices: %w", err)
	}
	return problemsOf(buildAll(rows, platform)), nil
}
