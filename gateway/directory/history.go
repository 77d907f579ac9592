package directory

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Entry is one version of a practice's policy.
type Entry struct {
	Practice   policy.PracticeID `json:"practice"`
	Version    int64             `json:"version"`
	Generation int64             `json:"generation"`
	Who        string            `json:"who"`
	Why        string            `json:"why,omitempty"`
	At         time.Time         `json:"at"`
	Hash       string            `json:"hash"` // hex
}

func (v *version) entry() Entry {
	return Entry{
		Practice: v.Practice, Version: v.Number, Generation: v.Generation, Who: v.Author.Who, Why: v.Author.Why,
		At: instant(v.At), Hash: hex.EncodeToString(v.Hash),
	}
}

// History is all versions of a practice, also of a removed one, oldest first. ErrUnknown: there never was one.
func (d *Directory) History(ctx context.Context, id policy.PracticeID) ([]Entry, error) {
	var entries []Entry
	err := d.versions(ctx, id, func(_ state, v *version) error {
		entries = append(entries, v.entry())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of practice %.60q: %w", string(id), err)
	}
	return entries, nil
}

// versions calls fn for each version in order, within one snapshot.
func (d *Directory) versions(ctx context.Context, id policy.PracticeID, fn func(state, *version) error) error {
	return d.reg.Read(ctx, func(tx *database.Tx) error {
		s, err := readState(ctx, tx, id)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+versionColumns+` FROM policy_version v WHERE v.practice = $1 ORDER BY v.version`, string(id))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var v version
			if err := rows.Scan(v.targets()...); err != nil {
				return err
			}
			if err := fn(s, &v); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Version reads one version and its document as it was stored. ErrUnknown: there is none.
func (d *Directory) Version(ctx context.Context, id policy.PracticeID, number int64) (Entry, policy.Document, error) {
	v, err := d.version(ctx, id, number)
	if err != nil {
		return Entry{}, policy.Document{}, err
	}
	doc, err := decodeDocument(v.Document)
	if err != nil {
		return Entry{}, policy.Document{}, fmt.Errorf("decoding version %d of practice %.60q: %w", number, string(id), err)
	}
	return v.entry(), doc, nil
}

// version reads one version that is as it was written.
func (d *Directory) version(ctx context.Context, id policy.PracticeID, number int64) (v version, err error) {
	err = d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		v, err = readVersion(ctx, tx, id, number)
		return err
	})
	if err == nil && (v.Practice != id || v.Number != number || !v.intact()) {
		err = &HistoryError{id, number, "it was altered"}
	}
	if err != nil {
		return version{}, fmt.Errorf("reading version %d of practice %.60q: %w", number, string(id), err)
	}
	return v, nil
}

// Diff says what changed from one version to another, as [Result.Diff] does; version 0 is the empty document.
func (d *Directory) Diff(ctx context.Context, id policy.PracticeID, from, to int64) (string, error) {
	var texts [2]string
	for i, number := range []int64{from, to} {
		if number == 0 {
			continue
		}
		v, err := d.version(ctx, id, number)
		if err != nil {
			return "", err
		}
		texts[i] = v.Document
	}
	return diff(texts[0], texts[1]), nil
}

// HistoryError names the first version of a history that is not as it was written.
type HistoryError struct {
	Practice policy.PracticeID
	Version  int64
	Reason   string
}

func (e *HistoryError) Error() string {
	return fmt.Sprintf("the history of practice %s does not hold from version %d on: %s", e.Practice, e.Version, e.Reason)
}

// VerifyHistory checks every version of a practice: none altered, missing, added or reordered, and the last one in force.
// It returns the last one. The error is *[HistoryError] when something does not hold. Whoever can write to the registry
// can replace the end of a history and all hashes after it: compare the hash with one that was kept elsewhere.
func (d *Directory) VerifyHistory(ctx context.Context, id policy.PracticeID) (Entry, error) {
	var check historyCheck
	var last state
	err := d.versions(ctx, id, func(s state, v *version) error {
		last = s
		return check.next(s, v)
	})
	if err == nil {
		err = check.end(id, last)
	}
	var bad *HistoryError
	if errors.As(err, &bad) {
		return Entry{}, bad
	}
	if err != nil {
		return Entry{}, fmt.Errorf("verifying the history of practice %.60q: %w", string(id), err)
	}
	return check.last.entry(), nil
}

// historyCheck walks a history from its first version.
type historyCheck struct{ last version }

func (c *historyCheck) next(s state, v *version) error {
	bad := func(number int64, reason string) error { return &HistoryError{s.Practice, number, reason} }
	expected, previous := c.last.Number+1, c.last.Hash
	if c.last.Number == 0 {
		previous = genesis
	}
	switch {
	case v.Number != expected:
		return bad(min(expected, v.Number), "it is missing or was put in")
	case v.Practice != s.Practice:
		return bad(v.Number, "it belongs to another practice")
	case !v.intact():
		return bad(v.Number, "it was altered")
	case !bytes.Equal(v.Previous, previous):
		return bad(v.Number, "it does not follow the version before it")
	case v.Generation < c.last.Generation || v.Generation > s.Generation:
		return bad(v.Number, "its generation does not fit")
	}
	c.last = *v
	return nil
}

func (c *historyCheck) end(id policy.PracticeID, s state) error {
	if c.last.Number == 0 {
		return &HistoryError{id, 1, "it is missing"}
	}
	if s.Generation != c.last.Generation {
		return &HistoryError{id, c.last.Number, "its generation is not the practice's"}
	}
	if s.Version != c.last.Number {
		return &HistoryError{id, min(s.Version, c.last.Number) + 1, fmt.Sprintf("version %d is in force, but the last one stored is %d",
			s.Version, c.last.Number)}
	}
	return nil
}
