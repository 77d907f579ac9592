package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// MaxTail is the largest number of records that Tail returns.
const MaxTail = 10_000

// pageSize is how many records one snapshot reads for Export and Follow. Between two
// pages nothing is held open, however slow the reader is.
const pageSize = 500

// ErrForeign is matched when a practice's database holds another practice's record: the
// record is shown to nobody, and Verify names the row. Also when AppendTx is given a
// transaction on another practice's database.
var ErrForeign = errors.New("the audit record belongs to another practice")

// Range limits what is read by time. The zero Range is everything.
type Range struct {
	From time.Time // first instant taken; zero = from the beginning
	To   time.Time // first instant not taken; zero = no end
}

// micros returns the range in the stored form.
func (r Range) micros() (from, to int64) {
	from, to = -1<<62, 1<<62
	if !r.From.IsZero() {
		from = r.From.UnixMicro()
	}
	if !r.To.IsZero() {
		to = r.To.UnixMicro()
	}
	return from, to
}

// Tail returns the newest n records (at most MaxTail), oldest first. It does not verify
// them: Damaged is only set on rows that this log cannot have written.
func (l *Log) Tail(ctx context.Context, id policy.PracticeID, n int) ([]Record, error) {
	n = min(n, MaxTail)
	if n <= 0 {
		return nil, nil
	}
	list, err := l.page(ctx, id, `SELECT `+recordColumns+` FROM audit_event WHERE seq <= $1 ORDER BY seq DESC LIMIT $2`, int64(maxSeq), int64(n))
	slices.Reverse(list)
	return list, err
}

// Follow calls each with every record after number after, those that come later
// included, until ctx ends or each fails; that error is returned. A negative after
// begins with the next record. It sees what other processes write too.
func (l *Log) Follow(ctx context.Context, id policy.PracticeID, after int64, each func(Record) error) error {
	if after < 0 {
		newest, err := l.Tail(ctx, id, 1)
		if err != nil {
			return err
		}
		after = 0
		if len(newest) > 0 {
			after = newest[0].Seq
		}
	}
	tick := time.NewTicker(l.opts.Poll)
	defer tick.Stop()
	for {
		for more := true; more; {
			list, err := l.pageAfter(ctx, id, after, maxSeq, Range{})
			if err != nil {
				return err
			}
			for _, r := range list {
				if err := each(r); err != nil {
					return err
				}
				after = r.Seq
			}
			more = len(list) == pageSize
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ctx.Done():
			return ErrClosed
		}
	}
}

// pageAfter returns the next records behind number after, up to number last.
func (l *Log) pageAfter(ctx context.Context, id policy.PracticeID, after, last int64, within Range) ([]Record, error) {
	from, to := within.micros()
	return l.page(ctx, id, `SELECT `+recordColumns+` FROM audit_event
		WHERE seq > $1 AND seq <= $2 AND at >= $3 AND at < $4 ORDER BY seq LIMIT $5`, after, last, from, to, int64(pageSize))
}

// page reads records in one snapshot.
func (l *Log) page(ctx context.Context, id policy.PracticeID, query string, args ...any) (list []Record, err error) {
	err = l.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, readable, err := scanRecord(rows)
			if err != nil {
				return err
			}
			if readable && r.Practice != id {
				return fmt.Errorf("row %d: %w", r.Seq, ErrForeign)
			}
			r.Damaged = !readable
			list = append(list, r.harmless())
		}
		return rows.Err()
	})
	if err != nil {
		return nil, unavailable("reading the audit log", err)
	}
	return list, nil
}

// harmless makes a record that may have been tampered with safe to show.
func (r Record) harmless() Record {
	r.Practice = policy.PracticeID(harmless(string(r.Practice)))
	r.Class = Class(harmless(string(r.Class)))
	for _, field := range []*string{&r.Action, &r.Actor, &r.Subject, &r.Addr, &r.Request} {
		*field = harmless(*field)
	}
	if len(r.Detail) > 0 {
		detail := make(map[string]string, len(r.Detail))
		for key, value := range r.Detail {
			detail[harmless(key)] = harmless(value)
		}
		r.Detail = detail
	}
	return r
}
