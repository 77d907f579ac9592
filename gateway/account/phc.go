package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/crypto/argon2"

	"clinicgate/gateway/hashing"
)

// HashParams is the cost of one argon2id hash (RFC 9106). The zero value
// stands for DefaultHash.
type HashParams struct {
	MemoryKiB uint32 // m: memory of one hash in KiB
	Passes    uint32 // t: passes over that memory
	Lanes     uint8  // p: parallel lanes; with 1 a hash occupies one processor
}

// DefaultHash is the first of the equivalent settings that the OWASP Password
// Storage Cheat Sheet gives for argon2id: m = 46 MiB, t = 1, p = 1. Of those
// it asks the most memory, which is what makes graphics cards slow, for the
// same processor time (about 30 ms). RFC 9106 section 4 would take m = 64 MiB,
// t = 3, p = 4 where one sign-in may use four processors; a gateway that also
// forwards requests may not, and a clinic signs in all at once.
var DefaultHash = HashParams{MemoryKiB: 46 * 1024, Passes: 1, Lanes: 1}

const maxPHC = 256 // bytes of a stored string

var errPHC = errors.New("not an argon2id string of ours")

// valid is false for what a stored string must not ask for, damaged or planted.
func (p HashParams) valid() bool { return hashing.Params(p).Valid() }

// String is the parameter part of a PHC string, "m=47104,t=1,p=1".
func (p HashParams) String() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.MemoryKiB, p.Passes, p.Lanes)
}

func parseParams(s string) (HashParams, error) {
	var m, t, l uint64
	n, err := fmt.Sscanf(s, "m=%d,t=%d,p=%d", &m, &t, &l)
	if n != 3 || err != nil || m > math.MaxUint32 || t > math.MaxUint32 || l > math.MaxUint8 {
		return HashParams{}, errPHC
	}
	p := HashParams{MemoryKiB: uint32(m), Passes: uint32(t), Lanes: uint8(l)}
	if !p.valid() || p.String() != s {
		return HashParams{}, errPHC
	}
	return p, nil
}

// phc is a parsed hash. The zero phc matches nothing.
type phc struct {
	params HashParams
	salt   [hashing.SaltSize]byte
	tag    hashing.Tag
}

// mixed is what is hashed of a password: see pepper.mix.
type mixed [hashing.InputSize]byte

// newPHC hashes input under a fresh salt.
func newPHC(turn *hashing.Turn, p HashParams, input mixed) (h phc, err error) {
	h.params = p
	rand.Read(h.salt[:]) // never fails (crypto/rand since Go 1.24)
	h.tag, err = h.compute(turn, input)
	return h, err
}

// decoy costs what p costs and belongs to nobody. No input can be known that
// matches its random tag.
func decoy(p HashParams) phc {
	h := phc{params: p}
	rand.Read(h.salt[:])
	rand.Read(h.tag[:])
	return h
}

// matches compares in constant time. With an error nothing was compared.
func (h phc) matches(turn *hashing.Turn, input mixed) (bool, error) {
	tag, err := h.compute(turn, input)
	return err == nil && subtle.ConstantTimeCompare(tag[:], h.tag[:]) == 1, err
}

func (h phc) compute(turn *hashing.Turn, input mixed) (hashing.Tag, error) {
	return turn.Hash(hashing.Job{Params: hashing.Params(h.params), Salt: h.salt, Input: input})
}

var phcBase64 = base64.RawStdEncoding.Strict()

// String is the PHC string format, as the argon2 reference program writes it.
func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$%s$%s$%s", argon2.Version, h.params,
		phcBase64.EncodeToString(h.salt[:]), phcBase64.EncodeToString(h.tag[:]))
}

// parsePHC accepts exactly what String writes: one hash has one spelling.
func parsePHC(s string) (phc, error) {
	if len(s) > maxPHC {
		return phc{}, errPHC
	}
	f := strings.Split(s, "$")
	if len(f) != 6 {
		return phc{}, errPHC
	}
	p, err := parseParams(f[3])
	if err != nil {
		return phc{}, err
	}
	salt, err1 := phcBase64.DecodeString(f[4])
	tag, err2 := phcBase64.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(salt) != hashing.SaltSize || len(tag) != hashing.TagSize {
		return phc{}, errPHC
	}
	h := phc{params: p, salt: [hashing.SaltSize]byte(salt), tag: hashing.Tag(tag)}
	if h.String() != s {
		return phc{}, errPHC
	}
	return h, nil
}
