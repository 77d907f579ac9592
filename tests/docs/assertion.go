// Package docs checks what the documents say: that links, commands, metrics and tests
// which they name are there, and that the code which they show works.
package docs

import (
	"context"
	"errors"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
)

// begin: docs/backend.md

// Identity is who the gateway says a request is from. UserID is "" on public paths.
type Identity struct {
	UserID   string   `json:"sub"`
	Practice string   `json:"practice"`
	Roles    []string `json:"roles"`
	Level    string   `json:"acr"` // aal1, aal2
}

// Verifier holds the gateway's public keys. Make one for the whole backend: it fetches
// the keys when it meets a new one, and keeps them.
type Verifier struct{ keys oidc.KeySet }

// NewVerifier takes the keys' address, such as https://harbour.example.org/.gate/jwks.json.
func NewVerifier(ctx context.Context, keys string) *Verifier {
	return &Verifier{oidc.NewRemoteKeySet(ctx, keys)}
}

// Verify returns who r is from, or an error: then answer 401 and do nothing else.
func (v *Verifier) Verify(r *http.Request) (Identity, error) {
	practice, assertion := r.Header["X-Practice-Id"], r.Header["X-Gate-Assertion"]
	if len(practice) != 1 || len(assertion) != 1 {
		return Identity{}, errors.New("the request did not come through the gateway")
	}
	token, err := oidc.NewVerifier("clinicgate", v.keys, &oidc.Config{
		ClientID:             "practice:" + practice[0], // the audience
		SupportedSigningAlgs: []string{oidc.ES256},
	}).Verify(r.Context(), assertion[0])
	if err != nil {
		return Identity{}, err
	}
	var who Identity
	if err := token.Claims(&who); err != nil {
		return Identity{}, err
	}
	if who.Practice != practice[0] {
		return Identity{}, errors.New("the assertion is about another practice")
	}
	return who, nil
}

// end: docs/backend.md
