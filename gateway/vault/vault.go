// Package vault keeps the gateway's keys: one master key outside the databases, and under it a key for each practice,
// which encrypts that practice's columns, and the keys that sign identity assertions.
package vault

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// keyVersion is the version a new practice key gets. It is authenticated with the key and with all it seals.
const keyVersion = 1

// ErrWrongMaster says that the registry is sealed under another master key than the one in the file.
var ErrWrongMaster = errors.New("the master key is not the one this registry is sealed under")

// Vault hands out keys. It is safe for concurrent use.
type Vault struct {
	file    string
	reg     *database.DB
	now     func() time.Time
	master  atomic.Pointer[master]
	signing *Signing

	mu   sync.RWMutex
	keys map[policy.PracticeID]*Keys
}

// Open reads the master key, checks that it is the registry's (the first one ever becomes it), and loads the signing
// keys, making the first one when there is none.
func Open(ctx context.Context, masterKeyFile string, reg *database.DB, now func() time.Time) (*Vault, error) {
	if now == nil {
		now = time.Now
	}
	m, err := readMaster(masterKeyFile)
	if err != nil {
		return nil, err
	}
	v := &Vault{file: masterKeyFile, reg: reg, now: now, keys: make(map[policy.PracticeID]*Keys)}
	v.master.Store(m)
	if err := v.adopt(ctx, m); err != nil {
		return nil, err
	}
	v.signing = &Signing{vault: v}
	if err := v.signing.start(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// adopt writes the master key's id into a new registry, or compares it with what an old one says.
func (v *Vault) adopt(ctx context.Context, m *master) error {
	err := v.reg.Read(ctx, func(tx *database.Tx) error { return sameMaster(ctx, tx, m) })
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return v.reg.Write(ctx, func(tx *database.Tx) error {
		const insert = `INSERT INTO vault_master (id, key_id, changed_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`
		if _, err := tx.Exec(ctx, insert, m.id, v.now().UnixMicro()); err != nil {
			return err
		}
		return sameMaster(ctx, tx, m)
	})
}

func sameMaster(ctx context.Context, tx *database.Tx, m *master) error {
	var id string
	if err := tx.QueryRow(ctx, `SELECT key_id FROM vault_master WHERE id = 1`).Scan(&id); err != nil {
		return fmt.Errorf("reading which master key is in use: %w", err)
	}
	return wrongMaster(id, m)
}

func wrongMaster(want string, m *master) error {
	if want == m.id {
		return nil
	}
	return fmt.Errorf("%w (the registry: %.16s, the file: %s): put the right key file in place; "+
		"after a change of the master key that is the new file", ErrWrongMaster, want, m.id)
}

// Practice returns the keys of a practice, made when they are first asked for.
func (v *Vault) Practice(ctx context.Context, id policy.PracticeID) (*Keys, error) {
	if _, err := policy.ParsePracticeID(string(id)); err != nil {
		return nil, err
	}
	return v.keysOf(ctx, id)
}

func (v *Vault) keysOf(ctx context.Context, id policy.PracticeID) (*Keys, error) {
	v.mu.RLock()
	k := v.keys[id]
	v.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	k, err := v.load(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("getting the key of practice %s: %w", id, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if first := v.keys[id]; first != nil {
		return first, nil
	}
	v.keys[id] = k
	return k, nil
}

// load unwraps the practice's key, making it first when there is none. When the registry was sealed anew meanwhile by
// another process, the key file is read again, once.
func (v *Vault) load(ctx context.Context, id policy.PracticeID) (*Keys, error) {
	k, err := v.fetch(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		if err = v.create(ctx, id); err == nil {
			k, err = v.fetch(ctx, id)
		}
	}
	if !errors.Is(err, ErrWrongMaster) {
		return k, err
	}
	if rerr := v.rereadMaster(); rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	if k, err = v.fetch(ctx, id); errors.Is(err, sql.ErrNoRows) {
		if err = v.create(ctx, id); err == nil {
			k, err = v.fetch(ctx, id)
		}
	}
	return k, err
}

func (v *Vault) rereadMaster() error {
	m, err := readMaster(v.file)
	if err == nil {
		v.master.Store(m)
	}
	return err
}

func (v *Vault) fetch(ctx context.Context, id policy.PracticeID) (*Keys, error) {
	var under string
	var version int64
	var sealed []byte
	err := v.reg.Read(ctx, func(tx *database.Tx) error {
		const find = `SELECT master, key_version, sealed FROM vault_key WHERE practice = $1`
		return tx.QueryRow(ctx, find, string(id)).Scan(&under, &version, &sealed)
	})
	if err != nil {
		return nil, err
	}
	m := v.master.Load()
	if err := wrongMaster(under, m); err != nil {
		return nil, err
	}
	root, err := m.wrap.open(sealed, practiceContext(id, version)...)
	if err != nil {
		return nil, err
	}
	return newKeys(id, root, uint32(version))
}

// create makes a key; of two processes that do so at once, the second keeps the first one's.
func (v *Vault) create(ctx context.Context, id policy.PracticeID) error {
	m := v.master.Load()
	root := make([]byte, keySize)
	_, _ = rand.Read(root)
	sealed, err := m.wrap.seal(root, practiceContext(id, keyVersion)...)
	if err != nil {
		return err
	}
	return v.reg.Write(ctx, func(tx *database.Tx) error {
		if err := sameMaster(ctx, tx, m); err != nil {
			return err
		}
		const insert = `INSERT INTO vault_key (practice, key_version, master, sealed, created_at)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (practice) DO NOTHING`
		_, err := tx.Exec(ctx, insert, string(id), keyVersion, m.id, sealed, v.now().UnixMicro())
		return err
	})
}

func practiceContext(id policy.PracticeID, version int64) []string {
	return []string{"practice key", string(id), strconv.FormatInt(version, 10)}
}

// Destroy deletes a practice's key: whatever was sealed with it, in backups too, can never be opened again. For a
// practice that has been removed for good; one that takes its id later gets a new key.
func (v *Vault) Destroy(ctx context.Context, id policy.PracticeID) error {
	err := v.reg.Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM vault_key WHERE practice = $1`, string(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("destroying the key of practice %s: %w", id, err)
	}
	v.Forget(id)
	return nil
}

// Forget drops a practice's key from this process's memory.
func (v *Vault) Forget(id policy.PracticeID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.keys, id)
}

// Signing returns the keys that sign identity assertions.
func (v *Vault) Signing() *Signing { return v.signing }
