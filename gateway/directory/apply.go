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

// Latest as a base means: whatever version is in force.
const Latest int64 = -1

// Proposal is a document that is to become a practice's policy.
type Proposal struct {
	Document policy.Document
	// Base is the version that the change was based on; any other in force is ErrConflict. 0: there must be no such
	// practice yet. [Latest]: no condition.
	Base int64
}

// Result is what Apply did, or would do.
type Result struct {
	Practice   policy.PracticeID
	Version    int64  // in force now
	Generation int64  // of the practice: its database must be of the same
	Changed    bool   // false: the document is the one in force and sound, nothing was written
	Created    bool   // the practice is new, or its id is used again after a removal
	Diff       string // the change for people, one line a field; "" when the document is the one in force
	Hash       string // of the version, in hex: who keeps it can tell later whether the history was replaced
}

// Apply makes doc the policy of its practice, which is created when there is none. The new policy is in force on this
// node when Apply returns. dry changes nothing and says what would be done.
//
// A document that cannot be accepted gives [policy.Problems], all at once; a host that another practice has is one of
// them. Errors matching database.ErrUnavailable mean that nothing was decided.
func (d *Directory) Apply(ctx context.Context, doc policy.Document, by Author, dry bool) (Result, error) {
	return d.ApplyAt(ctx, Latest, doc, by, dry)
}

// ApplyAt is Apply on condition that base is the version in force: see [Proposal].
func (d *Directory) ApplyAt(ctx context.Context, base int64, doc policy.Document, by Author, dry bool) (Result, error) {
	results, err := d.apply(ctx, []Proposal{{doc, base}}, by, dry)
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// ApplyAll applies all proposals or none. A host may move from one of the practices to another.
func (d *Directory) ApplyAll(ctx context.Context, proposals []Proposal, by Author, dry bool) ([]Result, error) {
	return d.apply(ctx, proposals, by, dry)
}

func (d *Directory) apply(ctx context.Context, proposals []Proposal, by Author, dry bool) ([]Result, error) {
	by, err := by.clean()
	if err != nil {
		return nil, err
	}
	plans, err := d.check(proposals)
	if err != nil {
		return nil, err
	}
	now := d.now()
	var after []func()
	work := func(tx *database.Tx) error {
		after = after[:0]
		if err := planAll(ctx, tx, plans, by, now); err != nil || dry {
			return err
		}
		after, err = d.store(ctx, tx, plans, now)
		return err
	}
	if dry {
		err = d.reg.Read(ctx, work)
	} else {
		err = d.commit(ctx, work, plans)
	}
	if errors.Is(err, database.ErrUnavailable) {
		return nil, fmt.Errorf("storing the policy: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if !dry {
		d.announce(changedRows(plans), after)
	}
	return results(plans), nil
}

// commit runs the write transaction. When it fails the practices are read anew later: a failure at the very end does not
// say whether the change was kept.
func (d *Directory) commit(ctx context.Context, work func(*database.Tx) error, plans []*plan) error {
	err := d.reg.Write(ctx, work)
	if errors.Is(err, database.ErrUnavailable) {
		ids := make([]policy.PracticeID, len(plans))
		for i, p := range plans {
			ids[i] = p.row.Practice
		}
		d.mark(ids)
	}
	return err
}

// announce puts committed rows into the index, then tells everybody else.
func (d *Directory) announce(rows []*row, after []func()) {
	d.publish(rows...)
	for _, fn := range after {
		if fn != nil {
			fn()
		}
	}
}

// check validates all documents and finds what they claim twice, before any transaction.
func (d *Directory) check(proposals []Proposal) ([]*plan, error) {
	d.mu.Lock()
	platform := d.platform
	d.mu.Unlock()
	plans := make([]*plan, 0, len(proposals))
	var failures []error
	practices, hosts := make(map[policy.PracticeID]bool), make(map[string]policy.PracticeID)
	for _, proposal := range proposals {
		p, err := prepare(proposal, platform)
		if err == nil {
			err = p.claim(practices, hosts)
		}
		if err != nil {
			failures = append(failures, refused(proposal.Document.Practice, err))
			continue
		}
		plans = append(plans, p)
	}
	return plans, errors.Join(failures...)
}

func refused(id policy.PracticeID, err error) error {
	return fmt.Errorf("practice %.60q: %w", string(id), err)
}

func results(plans []*plan) []Result {
	out := make([]Result, len(plans))
	for i, p := range plans {
		out[i] = p.result
	}
	return out
}

func changedRows(plans []*plan) []*row {
	var rows []*row
	for _, p := range plans {
		if p.result.Changed {
			rows = append(rows, &p.row)
		}
	}
	return rows
}

// store writes the plans: first every practice's old hosts are freed, so that hosts can move among them.
func (d *Directory) store(ctx context.Context, tx *database.Tx, plans []*plan, now time.Time) (after []func(), err error) {
	rows := changedRows(plans)
	for _, r := range rows {
		if err := deleteHosts(ctx, tx, r.Practice); err != nil {
			return nil, err
		}
	}
	for _, p := range plans {
		if !p.result.Changed {
			continue
		}
		kind := bus.KindPolicy
		if p.result.Created {
			kind = bus.KindPractice
		}
		fn, err := d.storeOne(ctx, tx, &p.row, bus.Change{At: now, Practice: p.row.Practice, Kind: kind})
		if err != nil {
			return nil, err
		}
		after = append(after, fn)
	}
	return after, nil
}

func (d *Directory) storeOne(ctx context.Context, tx *database.Tx, r *row, c bus.Change) (after func(), err error) {
	if err := writeState(ctx, tx, r.state); err != nil {
		return nil, err
	}
	if err := writeVersion(ctx, tx, r.version); err != nil {
		return nil, err
	}
	if err := insertHosts(ctx, tx, r.Practice, r.hosts); err != nil {
		return nil, err
	}
	return d.feed.PublishTx(ctx, tx, c)
}
