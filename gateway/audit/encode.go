package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"clinicgate/policy"
)

// The first field of everything that is hashed. It keeps the hash of an event apart
// from every other hash, and names the version of the encoding.
const (
	domainEvent   = "clinicgate/audit/event/v1"
	domainGenesis = "clinicgate/audit/genesis/v1"
)

// Hash is a SHA-256 in the chain. It is not a secret.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is String, for JSON and CSV.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return errors.New("reading an audit hash: it is not 64 hexadecimal digits")
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Record is an event in its place in a practice's chain.
type Record struct {
	Practice policy.PracticeID
	Seq      int64     // 1, 2, 3 … without gaps
	At       time.Time // UTC, microseconds
	Event
	Prev Hash // hash of record Seq-1, or of the beginning (see genesis)
	Hash Hash // of all the above

	// Damaged says that the row was read and holds what this log never writes. It is not stored.
	Damaged bool
}

// genesis is the previous hash of a practice's first record.
func genesis(id policy.PracticeID) Hash {
	return sha256.Sum256(appendText(appendText(nil, domainGenesis), string(id)))
}

// sum returns what r's hash must be.
func (r *Record) sum() Hash { return sha256.Sum256(r.encode(make([]byte, 0, 1024))) }

// encode appends r in its canonical form: each text with its length before it (four
// bytes, big endian), numbers in eight bytes, details counted and in order of their
// keys. Every field can be read back from it, hence two different records never
// encode the same (FuzzEncodeIsInjective).
func (r *Record) encode(b []byte) []byte {
	b = appendText(b, domainEvent)
	b = appendText(b, string(r.Practice))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	for _, field := range [...]string{string(r.Class), r.Action, r.Actor, r.Subject, r.Addr, r.Request} {
		b = appendText(b, field)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Detail)))
	for _, key := range slices.Sorted(maps.Keys(r.Detail)) {
		b = appendText(appendText(b, key), r.Detail[key])
	}
	return append(b, r.Prev[:]...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// detailText is the stored form of details: a JSON object with its keys in order.
// It is written by hand so that it stays the same under every version of Go: what
// [Clean] lets through needs no escape but of the quote and the backslash.
func detailText(detail map[string]string) string {
	b := []byte{'{'}
	for i, key := range slices.Sorted(maps.Keys(detail)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, key), ':')
		b = appendJSON(b, detail[key])
	}
	return string(append(b, '}'))
}

func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// parseDetail reads detailText's form and nothing else: another spelling of the same
// object (blanks, a key twice) did not come from this log.
func parseDetail(text string) (map[string]string, error) {
	if text == "{}" {
		return nil, nil
	}
	var detail map[string]string
	if err := json.Unmarshal([]byte(text), &detail); err != nil {
		return nil, fmt.Errorf("reading audit details: %v", err)
	}
	if detailText(detail) != text {
		return nil, errors.New("reading audit details: not in the form this log writes")
	}
	return detail, nil
}
