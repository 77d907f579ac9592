package database

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

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
