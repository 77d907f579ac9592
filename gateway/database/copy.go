package database

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/bits"
	"regexp"
	"strings"

	"clinicgate/policy"
)

// batchRows is how many rows one statement copies.
const batchRows = 50

// Copied says what CopyTo did with one database.
type Copied struct {
	Practice policy.PracticeID // empty: the registry
	Rows     int64
	Same     bool // the copy was there already
}

// CopyTo copies all databases of s to another Set, the registry last, and reports each. A database is copied as of one
// moment and in one transaction: broken off at any moment, the copy can be begun again, and what is the same on both
// sides already is left alone. Rows that only the other side has are deleted, practices that only it has are not.
//
// Each copy is read again and compared before its transaction is kept. s may be in use; what is written to a practice
// after its turn is not in the copy, so that the last run must be made while nothing writes.
func (s *Set) CopyTo(ctx context.Context, to *Set, report func(c Copied, done, total int)) error {
	ids, err := s.Practices(ctx)
	if err != nil {
		return err
	}
	for i, id := range append(ids, "") {
		c := Copied{Practice: id}
		var from, dest side = s.registry, to.registry
		t := s.registry.store.target
		if id != "" {
			from, dest, t = s.Practice(id), to.Practice(id), s.practice
			t.practice = id
			if err := s.createAt(ctx, t, to); err != nil {
				return err
			}
		}
		if c.Rows, c.Same, err = copyDatabase(ctx, t, from, dest); err != nil {
			return err
		}
		if report != nil {
			report(c, i+1, len(ids)+1)
		}
	}
	return nil
}

// createAt makes the practice's database on the other side, of the same generation.
func (s *Set) createAt(ctx context.Context, t target, to *Set) error {
	generation, err := generationOf(ctx, s.engine, t)
	if err != nil {
		return err
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
		want, err := fingerprints(ctx, src, tables)
		if err != nil {
			return err
		}
		for _, f := range want {
			rows += f.rows
		}
		return to.Write(ctx, func(dst *Tx) error {
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

// fingerprint is the number of a table's rows and the sum of their hashes, whatever their order.
type fingerprint struct {
	rows int64
	sum  [4]uint64
}

// String shows the part that people can use.
func (f fingerprint) String() string { return fmt.Sprint(f.rows) }

func (f *fingerprint) add(hash [sha256.Size]byte) {
	f.rows++
	var carry uint64
	for i := range f.sum {
		f.sum[i], carry = bits.Add64(f.sum[i], binary.LittleEndian.Uint64(hash[8*i:]), carry)
	}
}

func fingerprints(ctx context.Context, tx *Tx, tables []string) (map[string]fingerprint, error) {
	out := make(map[string]fingerprint, len(tables))
	for _, table := range tables {
		var f fingerprint
		var text []byte
		err := eachRow(ctx, tx, table, func(columns []string, row []any) (err error) {
			text, err = encodeRow(text[:0], columns, row)
			f.add(sha256.Sum256(text))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading table %s: %w", table, err)
		}
		out[table] = f
	}
	return out, nil
}

// encodeRow writes a row so that two rows are written alike exactly if they are the same, whatever the engine.
func encodeRow(b []byte, columns []string, row []any) ([]byte, error) {
	for i, value := range row {
		var text string
		switch v := value.(type) {
		case int64:
			text = fmt.Sprint("i", v)
		case string:
			text = "s" + v
		case []byte:
			text = "b" + string(v)
		default:
			return nil, fmt.Errorf("column %s holds a %T, which this program never writes", columns[i], value)
		}
		for _, part := range []string{columns[i], text} {
			b = binary.AppendUvarint(b, uint64(len(part)))
			b = append(b, part...)
		}
	}
	return b, nil
}

func equal(a, b map[string]fingerprint) bool {
	for table := range a {
		if a[table] != b[table] {
			return false
		}
	}
	return true
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
