package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"clinicgate/policy"
)

// batchRows is how many rows one statement copies.
const batchRows = 50

// maxRounds is how often a copy is begun while practices come and go.
const maxRounds = 3

// Copied says what CopyTo did with one database.
type Copied struct {
	Practice policy.PracticeID // empty: the registry
	Rows     int64
	Same     bool // the copy was there already
}

// CopyTo copies all databases of s, which may be in use, to a copy (OpenCopy), and reports each. A database is copied as
// of one moment and in one transaction, and is read again and compared before that is kept. Broken off at any moment,
// the copy can be begun again: what is the same on both sides already is left alone, rows that only the copy has are
// deleted, practices that only it has are put aside.
//
// The registry is copied before the practices, for it holds the newest signed head of every practice's audit log: a
// registry that is newer than a practice's database would say of the copy, as of a file that was put back, that records
// are missing. The other way round nothing is amiss: a log that has gone on since continues from the head that the
// registry knows. A practice that is made or removed meanwhile would be known to one side only, so that there is another
// round then.
//
// What is written to a practice after its turn is not in the copy: where nothing may be lost, Freeze s first.
func (s *Set) CopyTo(ctx context.Context, to *Set, report func(c Copied, done, total int)) error {
	if !to.registry.store.target.copying {
		return unavailable("copying", errors.New("the other side is no copy in the making"))
	}
	for range maxRounds {
		before, err := s.Practices(ctx)
		if err != nil {
			return err
		}
		whole, err := s.copyRound(ctx, to, before, report)
		if err != nil {
			return err
		}
		after, err := s.Practices(ctx)
		if err != nil {
			return err
		}
		if whole && slices.Equal(before, after) {
			return nil
		}
	}
	return unavailable("copying", fmt.Errorf("practices were made or removed in each of %d rounds: try again when they are not", maxRounds))
}

// copyRound copies the registry and these practices; whole is false when one of them was removed before its turn.
func (s *Set) copyRound(ctx context.Context, to *Set, ids []policy.PracticeID, report func(Copied, int, int)) (whole bool, err error) {
	whole = true
	for i, id := range append([]policy.PracticeID{""}, ids...) {
		c, err := s.copyOne(ctx, to, id)
		switch {
		case id != "" && errors.Is(err, ErrMissing):
			whole = false
		case err != nil:
			return false, err
		}
		if report != nil {
			report(c, i+1, len(ids)+1)
		}
	}
	return whole, to.removeOthers(ctx, ids)
}

func (s *Set) copyOne(ctx context.Context, to *Set, id policy.PracticeID) (c Copied, err error) {
	c.Practice = id
	if id == "" {
		c.Rows, c.Same, err = copyDatabase(ctx, s.registry.store.target, s.registry, to.registry)
		return c, err
	}
	t := s.practice
	t.practice = id
	if err := s.createAt(ctx, t, to); err != nil {
		return c, err
	}
	c.Rows, c.Same, err = copyDatabase(ctx, t, s.Practice(id), to.Practice(id))
	return c, err
}

// removeOthers puts the practices aside that are not among ids.
func (s *Set) removeOthers(ctx context.Context, ids []policy.PracticeID) error {
	have, err := s.Practices(ctx)
	if err != nil {
		return err
	}
	for _, id := range have {
		if !slices.Contains(ids, id) {
			if err := s.Remove(ctx, id); err != nil && !errors.Is(err, ErrMissing) {
				return err
			}
		}
	}
	return nil
}

// createAt makes the practice's database on the other side, of the same generation.
func (s *Set) createAt(ctx context.Context, t target, to *Set) error {
	generation, err := generationOf(ctx, s.engine, t)
	if err != nil {
		return outage("copying the "+t.String(), err)
	}
	return to.CreateGeneration(ctx, t.practice, generation)
}

// side is one of the two databases of a copy.
type side interface {
	Read(context.Context, func(*Tx) error) error
	Write(context.Context, func(*Tx) error) error
}

func copyDatabase(ctx context.Context, t target, from, to side) (rows int64, same bool, err error) {
	tables, err := tablesOf(t.migrations)
	if err != nil {
		return 0, false, err
	}
	err = from.Read(ctx, func(src *Tx) error {
		if err := src.unhurried(ctx); err != nil {
			return err
		}
		want, err := fingerprints(ctx, src, tables)
		if err != nil {
			return err
		}
		for _, f := range want {
			rows += f.rows
		}
		return to.Write(ctx, func(dst *Tx) error {
			if err := dst.unhurried(ctx); err != nil {
				return err
			}
			have, err := fingerprints(ctx, dst, tables)
			if err != nil {
				return err
			}
			if same = equal(want, have); same {
				return nil
			}
			if err := replaceRows(ctx, src, dst, tables); err != nil {
				return err
			}
			if have, err = fingerprints(ctx, dst, tables); err == nil && !equal(want, have) {
				err = unavailable("copying the "+t.String(), fmt.Errorf("the copy differs: %v instead of %v rows", have, want))
			}
			return err
		})
	})
	return rows, same, err
}

// replaceRows empties dst's tables, those that others refer to last, and fills them.
func replaceRows(ctx context.Context, src, dst *Tx, tables []string) error {
	for i := len(tables) - 1; i >= 0; i-- {
		if _, err := dst.Exec(ctx, "DELETE FROM "+tables[i]); err != nil {
			return err
		}
	}
	for _, table := range tables {
		if err := copyTable(ctx, src, dst, table); err != nil {
			return fmt.Errorf("copying table %s: %w", table, err)
		}
	}
	return nil
}

func copyTable(ctx context.Context, src, dst *Tx, table string) error {
	var pending []any
	var columns []string
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		_, err := dst.Exec(ctx, insertRows(table, columns, len(pending)/len(columns)), pending...)
		pending = pending[:0]
		return err
	}
	err := eachRow(ctx, src, table, func(names []string, row []any) error {
		columns = names
		if pending = append(pending, row...); len(pending) < batchRows*len(columns) {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// insertRows is the statement that inserts n rows.
func insertRows(table string, columns []string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", table, strings.Join(columns, ", "))
	for i := range n * len(columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteString(")")
	return b.String()
}

// eachRow calls fn for every row of a table. fn keeps nothing of row's array.
func eachRow(ctx context.Context, tx *Tx, table string, fn func(columns []string, row []any) error) error {
	rows, err := tx.Query(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := fn(columns, row); err != nil {
			return err
		}
	}
	return rows.Err()
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tablesOf returns the tables that the migrations make, those that others refer to first.
func tablesOf(files fs.FS) ([]string, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, name := range names { // in the order of their numbers
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, match := range createTable.FindAllStringSubmatch(up, -1) {
			tables = append(tables, match[1])
		}
	}
	return tables, nil
}
