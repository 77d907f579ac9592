package bus

import (
	"context"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// state is the row of change_state.
type state struct{ last, pruned int64 }

func readState(ctx context.Context, tx *database.Tx) (s state, err error) {
	err = tx.QueryRow(ctx, `SELECT last, pruned FROM change_state WHERE id = 1`).Scan(&s.last, &s.pruned)
	return s, err
}

// insert takes the next number and writes the row. The update locks the state row until the transaction ends, so that
// a higher number never becomes visible before a lower one.
func insert(ctx context.Context, tx *database.Tx, c Change) (seq int64, err error) {
	const next = `UPDATE change_state SET last = last + 1 WHERE id = 1 RETURNING last`
	if err := tx.QueryRow(ctx, next).Scan(&seq); err != nil {
		return 0, err
	}
	const add = `INSERT INTO change (seq, at, practice, kind, ref) VALUES ($1, $2, $3, $4, $5)`
	_, err = tx.Exec(ctx, add, seq, c.At.UnixMicro(), string(c.Practice), string(c.Kind), c.Ref)
	return seq, err
}

// readAfter returns the changes after seq, at most batch of them, and the state they were read with.
func readAfter(ctx context.Context, reg *database.DB, seq int64) (changes []Change, s state, err error) {
	err = reg.Read(ctx, func(tx *database.Tx) (err error) {
		if s, err = readState(ctx, tx); err != nil || s.last == seq {
			return err
		}
		const read = `SELECT seq, at, practice, kind, ref FROM change WHERE seq > $1 ORDER BY seq LIMIT $2`
		rows, err := tx.Query(ctx, read, seq, batch)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Change
			var at int64
			var practice, kind string
			if err := rows.Scan(&c.Seq, &at, &practice, &kind, &c.Ref); err != nil {
				return err
			}
			c.At, c.Practice, c.Kind = time.UnixMicro(at).UTC(), policy.PracticeID(practice), Kind(kind)
			changes = append(changes, c)
		}
		return rows.Err()
	})
	return changes, s, err
}

// prune deletes rows from before limit and notes how far that went. It looks first: most times there is nothing to do.
func prune(ctx context.Context, reg *database.DB, limit time.Time) error {
	var upTo int64
	find := func(tx *database.Tx) error {
		const old = `SELECT coalesce(max(seq), 0) FROM change WHERE at < $1`
		return tx.QueryRow(ctx, old, limit.UnixMicro()).Scan(&upTo)
	}
	if err := reg.Read(ctx, find); err != nil || upTo == 0 {
		return err
	}
	return reg.Write(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM change WHERE seq <= $1`, upTo); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE change_state SET pruned = $1 WHERE id = 1 AND pruned < $1`, upTo)
		return err
	})
}
