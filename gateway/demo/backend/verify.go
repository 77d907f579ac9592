package backend

import (
	"context"
	"errors"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Gateway verifies what the gateway says of a request, as docs/backend.md asks of every
// backend. It fetches the gateway's public keys when it meets a new one, and keeps them.
type Gateway struct{ keys keySets }

// NewGateway takes the addresses of the gateway's keys, one or several: a suspended
// practice's host has none, and the keys are the same on all of them. ctx is the
// backend's life and carries the client to ask with (oidc.ClientContext).
func NewGateway(ctx context.Context, addresses ...string) *Gateway {
	g := new(Gateway)
	for _, address := range addresses {
		g.keys = append(g.keys, oidc.NewRemoteKeySet(ctx, address))
	}
	return g
}

// Verify says why the gateway does not vouch for a request of this practice, or nil:
// signature (ES256), issuer, audience and time of the assertion.
func (g *Gateway) Verify(ctx context.Context, practice, assertion string) error {
	token, err := oidc.NewVerifier("clinicgate", g.keys, &oidc.Config{
		ClientID: "practice:" + practice, SupportedSigningAlgs: []string{oidc.ES256},
	}).Verify(ctx, assertion)
	if err != nil {
		return err
	}
	var about struct{ Practice string }
	if err := token.Claims(&about); err != nil {
		return err
	}
	if about.Practice != practice {
		return errors.New("it is about another practice")
	}
	return nil
}

// keySets are the same keys at several addresses. None at all verifies nothing.
type keySets []oidc.KeySet

// VerifySignature takes the first address that has the key.
func (k keySets) VerifySignature(ctx context.Context, assertion string) (payload []byte, err error) {
	err = errors.New("no address of the gateway's keys is known")
	for _, keys := range k {
		if payload, err = keys.VerifySignature(ctx, assertion); err == nil {
			return payload, nil
		}
	}
	return nil, err
}
