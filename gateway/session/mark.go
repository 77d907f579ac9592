package session

import (
	"context"
	"errors"

	"clinicgate/policy"
)

const minKey = 32 // bytes

var errKey = errors.New("the key that marks tokens is shorter than 32 bytes")

// NewToken returns a fresh token that bears the practice's mark. It opens nothing
// until a session is stored under it.
func (m *Manager) NewToken(ctx context.Context, p policy.PracticeID) (Token, error) {
	key, err := m.key(ctx, p)
	if err != nil {
		return Token{}, err
	}
	return Token{newSecret(key, domainToken)}, nil
}

// newFlowToken is NewToken for a sign-in in progress.
func (m *Manager) newFlowToken(ctx context.Context, p policy.PracticeID) (FlowToken, error) {
	key, err := m.key(ctx, p)
	if err != nil {
		return FlowToken{}, err
	}
	return FlowToken{newSecret(key, domainFlow)}, nil
}

// checkMark returns ErrNone for what no gateway with this practice's key has made.
// Where the key cannot be had it is ErrUnavailable: then nobody can tell.
func (m *Manager) checkMark(ctx context.Context, p policy.PracticeID, domain byte, raw *body) error {
	key, err := m.key(ctx, p)
	if err != nil {
		return err
	}
	if !raw.marked(key, domain) {
		m.stats.invented.Add(1)
		return ErrNone
	}
	return nil
}

func (m *Manager) key(ctx context.Context, p policy.PracticeID) ([]byte, error) {
	key, err := m.keys(ctx, p)
	if err == nil && len(key) < minKey {
		err = errKey
	}
	return key, m.fail("getting the key of tokens", err)
}
