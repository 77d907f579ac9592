package vault

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"clinicgate/policy"
	"golang.org/x/mod/sumdb/note"
)

// algEd25519 is the byte that names the algorithm in an encoded note key (golang.org/x/mod/sumdb/note).
const algEd25519 = 1

// CheckpointKey returns the Ed25519 key that signs the checkpoints of a practice's audit log, and what verifies them.
// It is derived from the practice's key: who has the databases but not the master key cannot sign a rewritten log. Its
// name is "clinicgate/<practice>".
func (v *Vault) CheckpointKey(ctx context.Context, id policy.PracticeID) (note.Signer, note.Verifier, error) {
	keys, err := v.Practice(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	seed := keys.Derive("audit checkpoint ed25519")
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("deriving the checkpoint key of practice %s: not an Ed25519 key", id)
	}
	vkey, err := note.NewEd25519VerifierKey("clinicgate/"+string(id), public)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving the checkpoint key of practice %s: %w", id, err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving the checkpoint key of practice %s: %w", id, err)
	}
	// The private text is the public one, name+hash+key, with the seed in the key's place.
	parts := strings.SplitN(vkey, "+", 3)
	parts[len(parts)-1] = base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, seed...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + strings.Join(parts, "+"))
	if err != nil {
		return nil, nil, fmt.Errorf("deriving the checkpoint key of practice %s: not usable", id) // never quotes the key
	}
	return signer, verifier, nil
}
