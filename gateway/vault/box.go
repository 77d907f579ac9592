package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrSealed says that a sealed value does not open: it was altered or cut, it stands in another practice, table, row
// or column than it was sealed for, or it was sealed under another key. It does not say which.
var ErrSealed = errors.New("the sealed value does not open")

const (
	boxFormat  = 1
	headerSize = 1 + 4 // format, key version
)

// A box seals values with AES-256-GCM and a random nonce of 96 bits, which is safe for 2^32 values under one key (NIST
// SP 800-38D, section 8.3); a practice has thousands.
//
// The standard library, and not tink: tink's worth here is its key management services, and there is none to talk to
// yet; until then it would add a key-set format and nothing else. The header leaves room to tell the formats apart.
type box struct {
	aead    cipher.AEAD
	version uint32
}

func newBox(key []byte, version uint32) (box, error) {
	if len(key) != keySize {
		return box{}, fmt.Errorf("a key has %d bytes, this one %d", keySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return box{}, fmt.Errorf("making a cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return box{}, fmt.Errorf("making a cipher: %w", err)
	}
	return box{aead, version}, nil
}

// seal returns header, nonce, ciphertext and tag. The context says what the value is and where it belongs.
func (b box) seal(plaintext []byte, context ...string) ([]byte, error) {
	if b.aead == nil {
		return nil, errors.New("sealing without a key")
	}
	out := make([]byte, headerSize, headerSize+b.aead.Overhead()+len(plaintext))
	out[0] = boxFormat
	binary.BigEndian.PutUint32(out[1:], b.version)
	return b.aead.Seal(out, nil, plaintext, associated(out[:headerSize], context)), nil
}

func (b box) open(sealed []byte, context ...string) ([]byte, error) {
	if b.aead == nil || len(sealed) < headerSize+b.aead.Overhead() {
		return nil, ErrSealed
	}
	header, body := sealed[:headerSize], sealed[headerSize:]
	if header[0] != boxFormat || binary.BigEndian.Uint32(header[1:]) != b.version {
		return nil, ErrSealed
	}
	plain, err := b.aead.Open(nil, nil, body, associated(header, context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// associated encodes the header and the context so that no two different contexts give the same bytes: the number of
// parts, then each with its length before it. ("ab","c") is not ("a","bc").
func associated(header []byte, context []string) []byte {
	out := append([]byte("clinicgate/box/"), header...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(context)))
	for _, part := range context {
		out = binary.BigEndian.AppendUint64(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}
