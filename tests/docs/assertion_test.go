package docs_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"clinicgate/tests/docs"
	"clinicgate/tests/harness"
)

// TestBackendCodeInTheDocumentsVerifiesAssertions runs the code that docs/backend.md
// tells backends to copy against a running gateway, and checks that the two are the
// same to the letter.
func TestBackendCodeInTheDocumentsVerifiesAssertions(t *testing.T) {
	source, err := os.ReadFile("assertion.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "// begin: docs/backend.md\n\n")
	code, _, found := strings.Cut(code, "\n// end: docs/backend.md")
	if text := read(t, "docs/backend.md"); !found || !strings.Contains(text, code) {
		t.Error("docs/backend.md does not hold the code of tests/docs/assertion.go: copy it anew")
	}
	g := harness.Start(t)
	harbour := g.Practice("harbour")
	browser := g.Browser(t, "h2")
	browser.SignIn(harbour, harbour.Account("admin"))
	sent := received(t, browser.Fetch(http.MethodGet, harbour.URL+"/api/echo", nil))
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: g.TLS(""),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, g.Addr)
		},
	}}
	ctx := oidc.ClientContext(context.Background(), client)
	t.Cleanup(client.CloseIdleConnections)
	verifier := docs.NewVerifier(ctx, harbour.URL+"/.gate/jwks.json")

	who, err := verifier.Verify(with(sent))
	if err != nil || who.Practice != "harbour" || who.UserID != sent.Get("X-User-Id") || who.Level != "aal2" {
		t.Errorf("got %+v, %v", who, err)
	}
	assertion := sent.Get("X-Gate-Assertion")
	refused := map[string]func(http.Header){
		"another practice":      func(h http.Header) { h.Set("X-Practice-Id", "acacia") },
		"no assertion":          func(h http.Header) { h.Del("X-Gate-Assertion") },
		"two assertions":        func(h http.Header) { h.Add("X-Gate-Assertion", assertion) },
		"altered in the middle": func(h http.Header) { h.Set("X-Gate-Assertion", strings.Replace(assertion, ".", ".e30", 1)) },
		"signature cut off":     func(h http.Header) { h.Set("X-Gate-Assertion", assertion[:strings.LastIndex(assertion, ".")+1]) },
	}
	for name, change := range refused {
		h := sent.Clone()
		change(h)
		if who, err := verifier.Verify(with(h)); err == nil {
			t.Errorf("%s: accepted as %+v", name, who)
		}
	}
}

// received are the headers that the backend got.
func received(t *testing.T, a harness.Answer) http.Header {
	t.Helper()
	var echo struct{ Headers http.Header }
	if err := json.Unmarshal([]byte(a.Text), &echo); err != nil {
		t.Fatalf("%s %s: %v", a.Status, a.Text, err)
	}
	return echo.Headers
}

func with(h http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = h
	return r
}
