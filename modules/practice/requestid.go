package practice

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"sync/atomic"
)

var errTarget = errors.New("request target is ambiguous")

// requestIDs are unique over all nodes: 64 random bits of this process, then a
// counter. They are a reference for people and logs, never a secret.
var requestIDs struct {
	process [8]byte
	count   atomic.Uint64
}

func init() {
	rand.Read(requestIDs.process[:]) // never fails since Go 1.24
}

// newRequestID returns 32 hexadecimal digits.
func newRequestID() string {
	var id [16]byte
	copy(id[:8], requestIDs.process[:])
	binary.BigEndian.PutUint64(id[8:], requestIDs.count.Add(1))
	var text [32]byte
	hex.Encode(text[:], id[:])
	return string(text[:])
}

func itoa(n int) string { return strconv.Itoa(n) }
