package backend_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"clinicgate/gateway/demo/backend"
)

// signed makes an assertion.
func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keysAt serves a public key where the gateway would.
func keysAt(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// THREATS H10: what somebody else made, or the gateway made for another practice or
// another time, opens nothing.
func TestForgedAssertionIsRefused(t *testing.T) {
	key := newKey(t)
	suspended := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(suspended.Close)
	gateway := backend.NewGateway(t.Context(), suspended.URL, keysAt(t, key))
	url := start(t, backend.Options{Verify: gateway.Verify})

	claims := func(change func(map[string]any)) map[string]any {
		c := map[string]any{"iss": "clinicgate", "aud": "practice:harbour", "practice": "harbour", "exp": time.Now().Add(time.Hour).Unix()}
		change(c)
		return c
	}
	right := claims(func(map[string]any) {})
	set := func(name string, value any) string {
		return signed(t, jose.ES256, key, claims(func(c map[string]any) { c[name] = value }))
	}
	encode := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(right)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		assertion string
		want      int
	}{
		"as the gateway makes it":    {signed(t, jose.ES256, key, right), http.StatusOK},
		"another key":                {signed(t, jose.ES256, newKey(t), right), http.StatusUnauthorized},
		"no signature":               {encode([]byte(`{"alg":"none"}`)) + "." + encode(body) + ".", http.StatusUnauthorized},
		"the public key as a secret": {signed(t, jose.HS256, public, right), http.StatusUnauthorized},
		"no JWT":                     {"header.payload.signature", http.StatusUnauthorized},
		"another audience":           {set("aud", "practice:acacia"), http.StatusUnauthorized},
		"no audience":                {set("aud", nil), http.StatusUnauthorized},
		"another practice":           {set("practice", "acacia"), http.StatusUnauthorized},
		"another issuer":             {set("iss", "somebody"), http.StatusUnauthorized},
		"expired":                    {set("exp", time.Now().Add(-time.Hour).Unix()), http.StatusUnauthorized},
		"no expiry":                  {set("exp", nil), http.StatusUnauthorized},
	} {
		r := request(t, http.MethodGet, url+"/api/echo", nil)
		r.Header.Set("X-Gate-Assertion", c.assertion)
		if answer, text := do(t, r); answer.StatusCode != c.want {
			t.Errorf("%s: %d %.100s, want %d", name, answer.StatusCode, text, c.want)
		}
	}
	if (new(backend.Gateway)).Verify(t.Context(), "harbour", signed(t, jose.ES256, key, right)) == nil {
		t.Error("a verifier without keys vouches for a request")
	}
}
