package forward_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/core"
)

// TestAssertionSaysWhoAsks pins every claim and header of it (DESIGN section 6), for a
// backend checks them by name and form.
func TestAssertionSaysWhoAsks(t *testing.T) {
	r := newRoom(t, func(http.ResponseWriter, *http.Request) {})
	req := r.request(t.Context(), "GET", "/x", nil, r.live)
	r.must(r.transport.Identify(req))
	token, err := jose.ParseSignedCompact(req.Header.Get("X-Gate-Assertion"), []jose.SignatureAlgorithm{jose.ES256})
	r.must(err)
	kid, key := r.core.Vault.Signing().Current()
	payload, err := token.Verify(key.Public())
	r.must(err)
	var claims map[string]any
	r.must(json.Unmarshal(payload, &claims))

	now, live := float64(r.core.Now().Unix()), r.live.Record()
	want := map[string]any{
		"iss": core.Issuer, "aud": "practice:acacia", "sub": live.User, "iat": now, "exp": now + 60,
		"practice": "acacia", "name": "Clinician", "email": "clinician@acacia.test", "roles": []any{"clinician"},
		"amr": []any{"pwd"}, "acr": "aal1", "auth_time": float64(live.Created.Unix()), "sid": live.ID.String(),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got := token.Signatures[0].Protected; got.KeyID != kid || got.ExtraHeaders[jose.HeaderType] != "JWT" {
		t.Errorf("header %+v, want kid %q and typ JWT", got, kid)
	}
}

// TestIdentityIsMadeOncePerHalfLife and costs little then: among many sessions most
// requests may come after a pause.
func TestIdentityIsMadeOncePerHalfLife(t *testing.T) {
	r := newRoom(t, func(http.ResponseWriter, *http.Request) {})
	req := r.request(t.Context(), "GET", "/x", nil, r.live)
	identify := func(after time.Duration) (assertion string, allocations float64) {
		allocations = testing.AllocsPerRun(50, func() {
			r.clock.Add(int64(after / time.Second))
			r.must(r.transport.Identify(req))
		})
		return req.Header.Get("X-Gate-Assertion"), allocations
	}
	made, _ := identify(0)
	kept, warm := identify(0)
	if kept != made || warm > 1 { // X-Request-Id
		t.Errorf("within half of its life: the same assertion %v, %v allocations, want at most 1", kept == made, warm)
	}
	renewed, cost := identify(31 * time.Second)
	if renewed == made || cost > 180 { // 162 when this was written, 60 of them the signature
		t.Errorf("after half of its life: another assertion %v, %v allocations, want at most 180", renewed != made, cost)
	}
}
