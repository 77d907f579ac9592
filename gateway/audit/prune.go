package audit

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// pruneBatch is how many rows one transaction removes, so that a first pruning after
// years does not keep sign-ins waiting.
const pruneBatch = 5000

// Pruned says what Prune did.
type Pruned struct {
	Rows   int64 // rows removed
	Until  int64 // number of the last row removed, now or earlier; 0 = none ever
	Intact bool  // the removed rows verified; otherwise the audit event names the first bad one
}

// Prune removes the rows older than before, from the beginning of the log up to the first
// row that is not older, and leaves a signed anchor from which the rest verifies. The
// newest row always stays. Each transaction that removes rows records it in the log,
// with what it removed and whether that was intact: damage in old rows does not go
// unnoticed with them.
func (l *Log) Prune(ctx context.Context, id policy.PracticeID, before time.Time) (Pruned, error) {
	out := Pruned{Intact: true}
	if before.After(l.now()) {
		return Pruned{}, errors.New("pruning the audit log: the date is in the future")
	}
	for {
		step, err := l.pruneOnce(ctx, id, before)
		if err != nil {
			return out, err
		}
		out.Rows += step.Rows
		out.Until = step.Until
		out.Intact = out.Intact && step.Intact
		if step.Rows < pruneBatch {
			return out, nil
		}
	}
}

// pruneOnce removes at most pruneBatch rows in one transaction.
func (l *Log) pruneOnce(ctx context.Context, id policy.PracticeID, before time.Time) (step Pruned, err error) {
	if l.isClosed() {
		return step, ErrClosed
	}
	err = l.transact(ctx, id, 1, func(tx *database.Tx, t *turn) (point, error) {
		p := pruning{tx: tx, turn: t}
		if err := p.plan(ctx, before); err != nil {
			return point{}, err
		}
		step = p.result
		if step.Rows == 0 {
			return point{}, errNothing
		}
		return l.pruneApply(ctx, &p, before)
	})
	if errors.Is(err, errNothing) {
		return step, nil
	}
	return step, err
}

// errNothing ends a transaction that has nothing to do.
var errNothing = errors.New("nothing to prune")

// pruning is one transaction's work.
type pruning struct {
	tx     *database.Tx
	turn   *turn
	anchor point // as it was
	end    point // last row to go
	report Report
	result Pruned
}

// plan finds the rows to go and verifies them.
func (p *pruning) plan(ctx context.Context, before time.Time) error {
	text, err := readNote(ctx, p.tx, "audit_anchor", p.turn.id)
	if err != nil {
		return err
	}
	if text != "" {
		if p.anchor, err = openPoint(text, p.turn.id, originAnchor, p.turn.verifier); err != nil {
			return errors.New("the anchor of an earlier pruning is forged: " + err.Error())
		}
	}
	p.result = Pruned{Until: p.anchor.seq, Intact: true}
	var limit int64 // the first row that stays
	err = p.tx.QueryRow(ctx, `SELECT seq FROM audit_event WHERE at >= $1 AND seq <= $2 ORDER BY seq LIMIT 1`, before.UnixMicro(), int64(maxSeq)).Scan(&limit)
	if errors.Is(err, sql.ErrNoRows) {
		last, lerr := lastRow(ctx, p.tx)
		limit, err = last.seq, lerr
	}
	if err != nil {
		return err
	}
	return p.check(ctx, limit)
}

// check walks over the rows to go: below limit, at most pruneBatch.
func (p *pruning) check(ctx context.Context, limit int64) error {
	from := p.anchor
	if from.text == "" {
		from = point{hash: genesis(p.turn.id)}
	}
	w := newWalk(p.turn.id, from, nil, &p.report)
	list, err := p.tx.Query(ctx, `SELECT `+recordColumns+` FROM audit_event WHERE seq < $1 ORDER BY seq LIMIT $2`, limit, int64(pruneBatch))
	if err != nil {
		return err
	}
	defer list.Close()
	for list.Next() {
		r, readable, err := scanRecord(list)
		if err != nil {
			return err
		}
		w.step(&r, readable)
		p.end = point{seq: r.Seq, hash: r.Hash}
		p.result.Rows++
	}
	p.report.finish()
	p.result.Intact = p.report.Intact
	if p.result.Rows > 0 {
		p.result.Until = max(p.end.seq, p.anchor.seq)
	}
	return list.Err()
}

// pruneApply removes what was planned, signs the new anchor and records it.
func (l *Log) pruneApply(ctx context.Context, p *pruning, before time.Time) (point, error) {
	anchor := point{seq: p.result.Until, hash: p.end.hash, at: l.now(), count: p.anchor.count + p.result.Rows}
	if anchor.seq == p.anchor.seq { // stray rows before the anchor went; it stays where it was
		anchor.hash = p.anchor.hash
	}
	text, err := anchor.sign(p.turn.id, originAnchor, p.turn.signer)
	if err != nil {
		return point{}, err
	}
	if _, err := p.tx.Exec(ctx, `DELETE FROM audit_event WHERE seq <= $1`, anchor.seq); err != nil {
		return point{}, err
	}
	if _, err := p.tx.Exec(ctx, `DELETE FROM audit_checkpoint WHERE practice = $1 AND size <= $2`, string(p.turn.id), anchor.seq); err != nil {
		return point{}, err
	}
	if err := writeNote(ctx, p.tx, "audit_anchor", p.turn.id, text); err != nil {
		return point{}, err
	}
	clean, err := p.event(before).clean()
	if err != nil {
		return point{}, err
	}
	return l.extend(ctx, p.tx, p.turn, []stamped{{clean, anchor.at}})
}

// event is the record of the pruning.
func (p *pruning) event(before time.Time) Event {
	detail := map[string]string{
		"rows":   strconv.FormatInt(p.result.Rows, 10),
		"until":  strconv.FormatInt(p.result.Until, 10),
		"before": before.UTC().Format(time.RFC3339),
		"intact": strconv.FormatBool(p.result.Intact),
	}
	if bad, found := p.report.FirstBad(); found {
		detail["first_bad"] = strconv.FormatInt(bad.Row, 10)
		detail["what"] = string(bad.Kind)
	}
	return Event{Class: System, Action: "audit_log_pruned", Actor: "gateway", Detail: detail}
}
