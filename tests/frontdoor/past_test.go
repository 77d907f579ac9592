package frontdoor_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"clinicgate/tests/probe"
)

// H10: whoever reaches the backend by another way than through the gateway is nobody,
// whatever they write into the headers.
func TestBackendKnowsWhoCameThroughTheGateway(t *testing.T) {
	p := gate.Practice("acacia")
	b := probe.SignedIn(t, gate, "acacia", p.Account("clinician"))
	var echo struct{ Headers http.Header }
	if err := json.Unmarshal([]byte(b.Fetch(http.MethodGet, p.URL+"/api/echo", nil).Text), &echo); err != nil {
		t.Fatal(err)
	}
	assertion := echo.Headers.Get("X-Gate-Assertion")
	for name, c := range map[string]struct {
		practice, assertion string
		want                int
	}{
		"with a copy of the assertion":      {"acacia", assertion, http.StatusOK}, // why the way there must be the gateway's own
		"for another practice":              {"harbour", assertion, http.StatusUnauthorized},
		"with another assertion":            {"acacia", "header.payload.signature", http.StatusUnauthorized},
		"with an assertion that was edited": {"acacia", assertion[:len(assertion)-4] + "AAAA", http.StatusUnauthorized},
		"with nothing":                      {"acacia", "", http.StatusUnauthorized},
	} {
		req, err := http.NewRequest(http.MethodGet, gate.Backend+"/api/echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Practice-Id", c.practice)
		req.Header.Set("X-Gate-Assertion", c.assertion)
		if res := probe.Send(t, http.DefaultClient, req); res.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, res.Status, c.want)
		}
	}
}
