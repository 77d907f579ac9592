package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"github.com/go-jose/go-jose/v4"
)

func signingContext(kid string) []string { return []string{"signing key", kid} }

// addSigningKey makes a key, unless the first one was asked for and there is one, or a next one is waiting already.
// It looks and writes in one write transaction: of two nodes that start at once, one makes the key.
func (v *Vault) addSigningKey(ctx context.Context, first bool) error {
	m := v.master.Load()
	k, err := newSigningKey(m)
	if err != nil {
		return err
	}
	return v.reg.Write(ctx, func(tx *database.Tx) error {
		if err := sameMaster(ctx, tx, m); err != nil {
			return err
		}
		var count, youngest int64
		const look = `SELECT count(*), coalesce(max(not_before), 0) FROM signing_key`
		if err := tx.QueryRow(ctx, look).Scan(&count, &youngest); err != nil {
			return err
		}
		now := v.now()
		if count > 0 && (first || youngest > now.UnixMicro()) {
			return nil
		}
		begin := now
		if count > 0 {
			begin = now.Add(publishLead)
			if err := retireSigning(ctx, tx, now, begin.Add(keepAfter)); err != nil {
				return err
			}
		}
		const insert = `INSERT INTO signing_key (kid, master, public, sealed, created_at, not_before, not_after)
			VALUES ($1, $2, $3, $4, $5, $6, 0)`
		_, err := tx.Exec(ctx, insert, k.kid, m.id, k.public, k.sealed, now.UnixMicro(), begin.UnixMicro())
		return err
	})
}

// retireSigning gives the present key its end and deletes those whose end has passed.
func retireSigning(ctx context.Context, tx *database.Tx, now, end time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE signing_key SET not_after = $1 WHERE not_after = 0`, end.UnixMicro()); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM signing_key WHERE not_after <> 0 AND not_after <= $1`, now.UnixMicro())
	return err
}

// sealedKey is a new signing key as it is stored.
type sealedKey struct {
	kid    string
	public []byte // SubjectPublicKeyInfo, DER
	sealed []byte // PKCS #8 under the master key
}

func newSigningKey(m *master) (sealedKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return sealedKey{}, fmt.Errorf("generating a key: %w", err)
	}
	// The key id is the key's thumbprint (RFC 7638), so it cannot be given to another key.
	print, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return sealedKey{}, fmt.Errorf("naming a key: %w", err)
	}
	k := sealedKey{kid: base64.RawURLEncoding.EncodeToString(print)}
	if k.public, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return sealedKey{}, fmt.Errorf("encoding a key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return sealedKey{}, errors.New("encoding a key failed") // never quotes it
	}
	k.sealed, err = m.wrap.seal(private, signingContext(k.kid)...)
	return k, err
}

// signingRow is a row of signing_key.
type signingRow struct {
	kid, master         string
	public, sealed      []byte
	notBefore, notAfter int64
}

func (v *Vault) loadSigningKeys(ctx context.Context) ([]signingKey, error) {
	var stored []signingRow
	err := v.reg.Read(ctx, func(tx *database.Tx) error {
		rows, err := tx.Query(ctx, `SELECT kid, master, public, sealed, not_before, not_after FROM signing_key`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r signingRow
			if err := rows.Scan(&r.kid, &r.master, &r.public, &r.sealed, &r.notBefore, &r.notAfter); err != nil {
				return err
			}
			stored = append(stored, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	keys := make([]signingKey, 0, len(stored))
	for _, r := range stored {
		k, err := v.openSigning(r)
		if errors.Is(err, ErrWrongMaster) && v.rereadMaster() == nil {
			k, err = v.openSigning(r)
		}
		if err != nil {
			return nil, fmt.Errorf("key %.60q: %w", r.kid, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// openSigning unwraps a key and checks that it is the one whose public half and id stand beside it.
func (v *Vault) openSigning(r signingRow) (signingKey, error) {
	m := v.master.Load()
	if err := wrongMaster(r.master, m); err != nil {
		return signingKey{}, err
	}
	der, err := m.wrap.open(r.sealed, signingContext(r.kid)...)
	if err != nil {
		return signingKey{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return signingKey{}, ErrSealed
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return signingKey{}, ErrSealed
	}
	public, err := x509.ParsePKIXPublicKey(r.public)
	if err != nil || !key.PublicKey.Equal(public) {
		return signingKey{}, ErrSealed
	}
	k := signingKey{kid: r.kid, private: key, notBefore: time.UnixMicro(r.notBefore)}
	if r.notAfter != 0 {
		k.notAfter = time.UnixMicro(r.notAfter)
	}
	return k, nil
}
