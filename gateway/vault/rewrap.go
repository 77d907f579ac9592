package vault

import (
	"context"
	"database/sql"
	"fmt"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Rewrap seals every key in the registry under the master key in newKeyFile, in one transaction, and goes on with it.
// What the keys encrypt stays as it is. Afterwards put the new file in the old one's place, and keep the old one as
// long as backups of the registry from before. Other processes read the file again when they next need it.
func (v *Vault) Rewrap(ctx context.Context, newKeyFile string) error {
	fresh, err := readMaster(newKeyFile)
	if err != nil {
		return err
	}
	old := v.master.Load()
	if fresh.id == old.id {
		return fmt.Errorf("changing the master key: %s holds the key that is in use already", newKeyFile)
	}
	err = v.reg.Write(ctx, func(tx *database.Tx) error {
		if err := sameMaster(ctx, tx, old); err != nil {
			return err
		}
		if err := rewrapPractices(ctx, tx, old, fresh); err != nil {
			return err
		}
		if err := rewrapSigning(ctx, tx, old, fresh); err != nil {
			return err
		}
		const change = `UPDATE vault_master SET key_id = $1, changed_at = $2 WHERE id = 1`
		_, err := tx.Exec(ctx, change, fresh.id, v.now().UnixMicro())
		return err
	})
	if err != nil {
		return fmt.Errorf("changing the master key: %w", err)
	}
	v.master.Store(fresh)
	return nil
}

// wrapped is one sealed key: the name of its row and what is authenticated with it.
type wrapped struct {
	name    string
	version int64
	sealed  []byte
}

func rewrapPractices(ctx context.Context, tx *database.Tx, old, fresh *master) error {
	rows, err := tx.Query(ctx, `SELECT practice, key_version, sealed FROM vault_key`)
	if err != nil {
		return err
	}
	all, err := collect(rows)
	if err != nil {
		return err
	}
	for _, w := range all {
		sealed, err := w.rewrap(old, fresh, practiceContext(policy.PracticeID(w.name), w.version))
		if err != nil {
			return fmt.Errorf("the key of practice %.40q: %w", w.name, err)
		}
		const change = `UPDATE vault_key SET sealed = $1, master = $2 WHERE practice = $3`
		if _, err := tx.Exec(ctx, change, sealed, fresh.id, w.name); err != nil {
			return err
		}
	}
	return nil
}

func rewrapSigning(ctx context.Context, tx *database.Tx, old, fresh *master) error {
	rows, err := tx.Query(ctx, `SELECT kid, not_before, sealed FROM signing_key`)
	if err != nil {
		return err
	}
	all, err := collect(rows)
	if err != nil {
		return err
	}
	for _, w := range all {
		sealed, err := w.rewrap(old, fresh, signingContext(w.name))
		if err != nil {
			return fmt.Errorf("signing key %.60q: %w", w.name, err)
		}
		const change = `UPDATE signing_key SET sealed = $1, master = $2 WHERE kid = $3`
		if _, err := tx.Exec(ctx, change, sealed, fresh.id, w.name); err != nil {
			return err
		}
	}
	return nil
}

func (w wrapped) rewrap(old, fresh *master, context []string) ([]byte, error) {
	plain, err := old.wrap.open(w.sealed, context...)
	if err != nil {
		return nil, err
	}
	return fresh.wrap.seal(plain, context...)
}

func collect(rows *sql.Rows) ([]wrapped, error) {
	defer rows.Close()
	var all []wrapped
	for rows.Next() {
		var w wrapped
		if err := rows.Scan(&w.name, &w.version, &w.sealed); err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, rows.Err()
}
