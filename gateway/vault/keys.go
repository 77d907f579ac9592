package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"

	"clinicgate/policy"
)

// Field is the place of an encrypted value. All three names are authenticated with it: a value that somebody moves to
// another row, column or table of the database does not open there.
type Field struct {
	Table  string
	Row    string // what identifies the row for good, not its position
	Column string
}

var errField = errors.New("sealing needs the table, the row and the column")

// Keys are the keys of one practice. The zero Keys refuses.
type Keys struct {
	practice policy.PracticeID
	fields   box
	root     []byte
}

// newKeys derives what a practice needs from its own key: one key for fields, and one for each label of Derive. The
// practice's own key is never used directly.
func newKeys(id policy.PracticeID, root []byte, version uint32) (*Keys, error) {
	key, err := expand(root, "clinicgate/practice/fields/"+string(id), keySize)
	if err != nil {
		return nil, err
	}
	fields, err := newBox(key, version)
	if err != nil {
		return nil, err
	}
	return &Keys{practice: id, fields: fields, root: root}, nil
}

// Practice says whose keys these are.
func (k *Keys) Practice() policy.PracticeID { return k.practice }

// Seal encrypts a value for its place.
func (k *Keys) Seal(f Field, plaintext []byte) ([]byte, error) {
	if k == nil || f.Table == "" || f.Row == "" || f.Column == "" {
		return nil, errField
	}
	return k.fields.seal(plaintext, k.context(f)...)
}

// Open decrypts a value that was sealed for this place of this practice; anything else is ErrSealed.
func (k *Keys) Open(f Field, sealed []byte) (Secret, error) {
	if k == nil || f.Table == "" || f.Row == "" || f.Column == "" {
		return Secret{}, ErrSealed
	}
	plain, err := k.fields.open(sealed, k.context(f)...)
	if err != nil {
		return Secret{}, err
	}
	return NewSecret(string(plain)), nil
}

func (k *Keys) context(f Field) []string {
	return []string{"field", string(k.practice), f.Table, f.Row, f.Column}
}

// Derive returns 32 bytes for one purpose of this practice, always the same ones ("password pepper"). They do not
// change when the master key does. It panics on a zero Keys: a caller that went on with a constant key would be worse.
func (k *Keys) Derive(label string) []byte {
	if k == nil || len(k.root) != keySize || label == "" {
		panic("vault: deriving without a key or a label")
	}
	out, err := hkdf.Key(sha256.New, k.root, nil, "clinicgate/practice/derive/"+string(k.practice)+"/"+label, keySize)
	if err != nil {
		panic("vault: " + err.Error()) // only for lengths above 8160
	}
	return out
}
