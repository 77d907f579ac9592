package session

import (
	"encoding/hex"
	"errors"

	"github.com/google/uuid"
)

// ErrID is the error of ParseID.
var ErrID = errors.New("session: not a session id: it has the form of a UUID, as `session list` shows it")

// ID is the public name of a session: a random UUID that stays the same over
// rotations. It stands in lists, in the audit log and in X-Session-Id, and opens
// nothing. The zero ID is no session.
type ID [16]byte

// NewID names a session that is to be made (SignIn.ID).
func NewID() ID { return ID(uuid.New()) } // version 4, crypto/rand

// ParseID reads the one canonical spelling: lower case, with hyphens.
func ParseID(s string) (ID, error) {
	if len(s) != 36 {
		return ID{}, ErrID
	}
	u, err := uuid.Parse(s)
	if err != nil || u == uuid.Nil || u.String() != s {
		return ID{}, ErrID
	}
	return ID(u), nil
}

// String returns the canonical spelling, and "" for the zero ID.
func (id ID) String() string {
	if id == (ID{}) {
		return ""
	}
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// MarshalText writes the canonical spelling.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
