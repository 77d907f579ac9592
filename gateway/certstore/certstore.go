// Package certstore keeps in the registry what a TLS server shares between its nodes: files with names like paths,
// encrypted, and locks that end with their owner.
package certstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
)

// Limits on a file.
const (
	MaxName = 1024    // bytes
	MaxSize = 1 << 20 // bytes; a chain of certificates has some thousand
)

// Store is the files and locks of one registry. It is safe for concurrent use. The zero Store refuses.
type Store struct {
	reg   *database.DB
	vault *vault.Vault
	now   func() time.Time
	pace  Pace

	mu      sync.Mutex
	held    map[string][]*hold
	closed  bool
	renewal sync.WaitGroup
}

// Info is what is known of a name without opening it.
type Info struct {
	Size     int64
	Modified time.Time
	Folder   bool // no file of its own: other names lie below it
}

// New makes the store of a registry. A zero pace means the usual one.
func New(reg *database.DB, v *vault.Vault, now func() time.Time, pace Pace) *Store {
	if pace == (Pace{}) {
		pace = usualPace
	}
	return &Store{reg: reg, vault: v, now: now, pace: pace, held: make(map[string][]*hold)}
}

var errZero = fmt.Errorf("keeping certificates: %w", database.ErrUnavailable)

// keys also refuses names that could stand for another.
func (s *Store) keys(ctx context.Context, name string) (*vault.Keys, error) {
	if s == nil || s.reg == nil || s.vault == nil {
		return nil, errZero
	}
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) ||
		path.Clean(name) != name || strings.HasPrefix(name, "/") || name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return nil, fmt.Errorf("the name %.80q of a file is not a clean path: %w", name, fs.ErrInvalid)
	}
	return s.vault.Registry(ctx)
}

// field is a file's place: a file that somebody copies to another name does not open there.
func field(name string) vault.Field {
	return vault.Field{Table: "certificate_file", Row: name, Column: "sealed"}
}

// Store puts a file into the place of the one with this name, if there is one.
func (s *Store) Store(ctx context.Context, name string, value []byte) error {
	keys, err := s.keys(ctx, name)
	if err != nil {
		return err
	}
	if len(value) > MaxSize {
		return fmt.Errorf("%s has %d bytes, more than %d: %w", name, len(value), MaxSize, fs.ErrInvalid)
	}
	sealed, err := keys.Seal(field(name), value)
	if err != nil {
		return err
	}
	return s.reg.Write(ctx, func(tx *database.Tx) error {
		const put = `INSERT INTO certificate_file (name, sealed, size, modified) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, size = excluded.size, modified = excluded.modified`
		_, err := tx.Exec(ctx, put, name, sealed, int64(len(value)), s.now().UnixMicro())
		return err
	})
}

// Load returns a file; fs.ErrNotExist when there is none, vault.ErrSealed when it is not what was stored under this
// name.
func (s *Store) Load(ctx context.Context, name string) ([]byte, error) {
	keys, err := s.keys(ctx, name)
	if err != nil {
		return nil, err
	}
	var sealed []byte
	err = s.reg.Read(ctx, func(tx *database.Tx) error {
		return tx.QueryRow(ctx, `SELECT sealed FROM certificate_file WHERE name = $1`, name).Scan(&sealed)
	})
	if err != nil {
		return nil, absent(name, err)
	}
	plain, err := keys.Open(field(name), sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return []byte(plain.Reveal()), nil
}

func absent(name string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return err
}

// Delete removes a file, and everything below the name. What is not there is no error.
func (s *Store) Delete(ctx context.Context, name string) error {
	if _, err := s.keys(ctx, name); err != nil {
		return err
	}
	return s.reg.Write(ctx, func(tx *database.Tx) error {
		below, width := prefix(name)
		const remove = `DELETE FROM certificate_file WHERE name = $1 OR substr(name, 1, $2) = $3`
		_, err := tx.Exec(ctx, remove, name, width, below)
		return err
	})
}

// prefix is what names below this one begin with, and its length as substr counts it.
func prefix(name string) (below string, width int64) {
	below = name + "/"
	return below, int64(utf8.RuneCountInString(below))
}

// Exists reports whether there is a file of this name or below it, and no error in finding out.
func (s *Store) Exists(ctx context.Context, name string) bool {
	_, err := s.Stat(ctx, name)
	return err == nil
}

// Stat says what a name stands for; fs.ErrNotExist when for nothing.
func (s *Store) Stat(ctx context.Context, name string) (Info, error) {
	if _, err := s.keys(ctx, name); err != nil {
		return Info{}, err
	}
	var size, modified, below int64
	err := s.reg.Read(ctx, func(tx *database.Tx) error {
		const find = `SELECT size, modified FROM certificate_file WHERE name = $1`
		err := tx.QueryRow(ctx, find, name).Scan(&size, &modified)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		start, width := prefix(name)
		const any = `SELECT 1 FROM certificate_file WHERE substr(name, 1, $1) = $2 LIMIT 1`
		return tx.QueryRow(ctx, any, width, start).Scan(&below)
	})
	if err != nil {
		return Info{}, absent(name, err)
	}
	if below == 1 {
		return Info{Folder: true}, nil
	}
	return Info{Size: size, Modified: time.UnixMicro(modified).UTC()}, nil
}
