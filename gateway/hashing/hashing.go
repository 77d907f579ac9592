// Package hashing computes argon2id hashes, a bounded number at once, in worker
// processes beside the gateway: a hash takes tens of megabytes, and in the gateway's
// own heap that would keep the garbage collector of everybody who is signed in busy.
//
// It decides nothing. What is hashed is an HMAC of a password under a key that the
// worker does not have (package account), and who compares the tag is the gateway.
package hashing

import (
	"errors"

	"golang.org/x/crypto/argon2"
)

// Nothing was decided with either of them: answer 503, do not count the attempt.
var (
	// ErrBusy means that more hashes wait than the queue holds, or that the caller
	// gave up waiting.
	ErrBusy = errors.New("too many sign-ins at once")
	// ErrUnavailable means that no worker could compute the hash. It is an alarm.
	ErrUnavailable = errors.New("no process could hash the password")
)

// Sizes in bytes.
const (
	SaltSize  = 16 // RFC 9106 section 3.1
	InputSize = 32 // HMAC-SHA-256
	TagSize   = 32
)

// Bounds of what a job may ask for, so that a damaged or planted hash cannot exhaust
// memory or time.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 16
	maxLanes     = 16
)

// Params is the cost of one argon2id hash (RFC 9106). The zero value is refused.
type Params struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// Valid reports whether a hash of this cost may be computed at all.
func (p Params) Valid() bool {
	return p.Passes >= 1 && p.Passes <= maxPasses && p.Lanes >= 1 && p.Lanes <= maxLanes &&
		p.MemoryKiB >= 8*uint32(p.Lanes) && p.MemoryKiB <= maxMemoryKiB
}

// Job is one hash to compute. Its type has no room for a password.
type Job struct {
	Params Params
	Salt   [SaltSize]byte
	Input  [InputSize]byte
}

// Tag is the hash.
type Tag [TagSize]byte

func (j *Job) compute() Tag {
	return Tag(argon2.IDKey(j.Input[:], j.Salt[:], j.Params.Passes, j.Params.MemoryKiB, j.Params.Lanes, TagSize))
}
