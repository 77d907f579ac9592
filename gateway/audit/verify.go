package audit

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// maxPoints bounds the hourly checkpoints that a verification holds in memory: more
// than twenty years of them.
const maxPoints = 200_000

// progressEvery is the number of rows between two calls of a progress function.
const progressEvery = 4096

// Verify reads the practice's whole log and reports the first bad row, what is wrong
// with it, and what else is. It reads one snapshot, so it runs beside writers, and its
// memory does not grow with the log. progress may be nil; it is called now and then with
// the rows read and the rows there should be, and once at the end.
//
// The error says that the log could not be read (database.ErrMissing,
// database.ErrUnavailable). A log that was read and is bad is a Report, not an error.
func (l *Log) Verify(ctx context.Context, id policy.PracticeID, progress func(done, total int64)) (Report, error) {
	if _, err := l.generation(ctx, id); err != nil {
		return Report{Practice: id}, unavailable("verifying the audit log", err)
	}
	_, verifier, err := l.keys.CheckpointKey(ctx, id)
	if err != nil {
		return Report{Practice: id}, unavailable("reading the audit key", err)
	}
	// The registry's copy first: everything it speaks of is in the snapshot taken after it.
	of, copied, err := l.readCopy(ctx, id)
	if err != nil {
		return Report{Practice: id}, err
	}
	v := verification{id: id, verifier: verifier, progress: progress}
	err = l.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		v.report = Report{Practice: id, Findings: []Finding{}, Warnings: []string{}}
		v.copied = copied
		if _, generation := tx.Practice(); of < generation { // of a log that was put aside
			v.copied = ""
		}
		return v.run(ctx, tx)
	})
	if err != nil {
		return Report{Practice: id}, unavailable("verifying the audit log", err)
	}
	v.report.finish()
	return v.report, nil
}

// verification is one run of Verify.
type verification struct {
	id       policy.PracticeID
	verifier note.Verifier
	copied   string
	progress func(done, total int64)
	report   Report

	anchor, head, copy point // zero when there is none that can be believed
	headBad            bool  // there is a head, and it is no good
}

func (v *verification) run(ctx context.Context, tx *database.Tx) error {
	if err := v.readNotes(ctx, tx); err != nil {
		return err
	}
	points, err := v.readCheckpoints(ctx, tx)
	if err != nil {
		return err
	}
	for _, p := range []point{v.head, v.copy} {
		if p.seq > v.anchor.seq {
			points = append(points, p)
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return int(min(max(a.seq-b.seq, -1), 1)) })
	from := v.anchor
	if from.text == "" {
		from = point{hash: genesis(v.id)}
	}
	v.report.First, v.report.Last, v.report.SignedAt, v.report.Pruned = from.seq+1, v.head.seq, v.head.at, from.count
	w := newWalk(v.id, from, points, &v.report)
	if err := v.readRows(ctx, tx, w); err != nil {
		return err
	}
	v.judgeEnd(w.last(), from)
	return nil
}

// readNotes opens the head, the anchor and the registry's copy.
func (v *verification) readNotes(ctx context.Context, tx *database.Tx) error {
	head, err := readNote(ctx, tx, "audit_head", v.id)
	if err != nil {
		return err
	}
	anchor, err := readNote(ctx, tx, "audit_anchor", v.id)
	if err != nil {
		return err
	}
	v.anchor = v.open(anchor, originAnchor, 1, "The anchor that retention left")
	v.head = v.open(head, originCheckpoint, v.anchor.seq+1, "The signed head")
	v.headBad = head != "" && v.head.text == ""
	v.copy = v.open(v.copied, originCheckpoint, v.anchor.seq+1, "The registry's copy of the signed head")
	if v.copied == "" && v.head.text != "" {
		v.report.Warnings = append(v.report.Warnings,
			"The registry has no copy of the signed head. That is so for a second after the first record; later it means that the copy was removed, and an older copy of the database would not be noticed.")
	}
	return nil
}

// open reads a note and reports what is wrong with it. row is where the blame goes.
func (v *verification) open(text, origin string, row int64, what string) point {
	if text == "" {
		return point{}
	}
	p, err := openPoint(text, v.id, origin, v.verifier)
	switch {
	case err == nil:
		return p
	case errors.Is(err, errKeyUnknown):
		v.report.add(KeyUnknown, row, 0, "%s cannot be checked: %v.", what, err)
	default:
		v.report.add(CheckpointForged, row, 0, "%s is forged: %v.", what, err)
	}
	return point{}
}

// readCheckpoints returns the hourly checkpoints behind the anchor.
func (v *verification) readCheckpoints(ctx context.Context, tx *database.Tx) ([]point, error) {
	list, err := tx.Query(ctx, `SELECT size, `+bounded("note", maxNote)+` FROM audit_checkpoint WHERE practice = $1 ORDER BY hour LIMIT $2`,
		string(v.id), int64(maxPoints))
	if err != nil {
		return nil, err
	}
	defer list.Close()
	var points []point
	for list.Next() {
		var size any
		var text sql.NullString
		if err := list.Scan(&size, &text); err != nil {
			return nil, err
		}
		if text.String == "" {
			text.String = "\x00"
		}
		row, _ := size.(int64)
		p := v.open(text.String, originCheckpoint, max(row, 1), "An hourly checkpoint")
		if p.text != "" && p.seq > v.anchor.seq {
			p.text = "" // checked; not held
			points = append(points, p)
		}
	}
	return points, list.Err()
}

// readRows walks over all rows behind the anchor, and over rows before it that should
// not be there.
func (v *verification) readRows(ctx context.Context, tx *database.Tx, w *walk) error {
	list, err := tx.Query(ctx, `SELECT `+recordColumns+` FROM audit_event ORDER BY seq`)
	if err != nil {
		return err
	}
	defer list.Close()
	total := max(v.report.Last-v.report.First+1, 0)
	for list.Next() {
		r, readable, err := scanRecord(list)
		if err != nil {
			return err
		}
		w.step(&r, readable)
		v.report.Rows++
		if v.progress != nil && v.report.Rows%progressEvery == 0 {
			v.progress(v.report.Rows, max(total, v.report.Rows))
		}
	}
	if v.progress != nil {
		v.progress(v.report.Rows, max(total, v.report.Rows))
	}
	return list.Err()
}

// judgeEnd compares where the rows end with where the signed heads say they end.
func (v *verification) judgeEnd(last int64, from point) {
	head := v.head.seq
	switch {
	case v.head.text == "":
		if !v.headBad && last > from.seq {
			v.report.add(CheckpointMissing, from.seq+1, last, "%s %s not signed: the signed head was removed.",
				rows(from.seq+1, last), is(from.seq+1, last, "is", "are"))
		}
		head = last
	case last < head:
		v.report.add(TailCut, last+1, head, "%s %s cut from the end: the signed head of %s says that the last is row %d.",
			rows(last+1, head), is(last+1, head, "was", "were"), v.head.at.Format("2006-01-02 15:04:05 MST"), head)
	case last > head:
		v.report.add(Inserted, head+1, last, "%s %s after the signed head: the log did not write %s.",
			rows(head+1, last), is(head+1, last, "stands", "stand"), is(head+1, last, "it", "them"))
	}
	if end := max(head, last); v.copy.seq > end {
		v.report.add(RolledBack, end+1, v.copy.seq,
			"The database is an older copy: it ends at row %d, and the registry has the signature of row %d, made at %s.",
			end, v.copy.seq, v.copy.at.Format("2006-01-02 15:04:05 MST"))
	} else if v.copy.seq > head && v.head.text != "" {
		v.report.add(RolledBack, head+1, v.copy.seq,
			"The signed head is an older one: it speaks of row %d, and the registry has a newer one for row %d.", head, v.copy.seq)
	}
}
