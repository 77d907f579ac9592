package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"clinicgate/policy"
)

// Tag stands for an address that somebody typed, in the audit log: the same for every
// spelling of it, so that a reviewer sees which attempts go for the same account. It is
// an HMAC under a key of the practice, since people type passwords into that field, and
// since the log must not be a list of addresses to somebody who has only the log.
func (s *Service) Tag(ctx context.Context, id policy.PracticeID, typed string) (string, error) {
	keys, err := s.vault.Practice(ctx, id)
	if err != nil {
		return "", fmt.Errorf("reading the practice's key: %w", err)
	}
	if canonical, err := CanonicalEmail(typed); err == nil {
		typed = canonical
	}
	m := hmac.New(sha256.New, keys.Derive("audit account tag"))
	m.Write([]byte(typed))
	return hex.EncodeToString(m.Sum(nil)[:16]), nil
}
