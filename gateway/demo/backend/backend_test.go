package backend_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/demo/backend"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)

// start serves the backend on a real connection and returns its address.
func start(t *testing.T, o backend.Options) string {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	server := httptest.NewServer(backend.New(o))
	t.Cleanup(server.Close)
	return server.URL
}

// request builds one as the gateway would send it.
func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Gate-Assertion", "header.payload.signature")
	r.Header.Set("X-Practice-Id", "harbour")
	return r
}

// do sends r and returns the answer with its body.
func do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	return do(t, request(t, http.MethodGet, url, nil))
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("answer is not the expected JSON: %v\n%s", err, text)
	}
	return v
}

// hits reads the counter of the backend at url.
func hits(t *testing.T, url, prefix string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/hits?prefix="+prefix, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body := do(t, r)
	return decode[struct{ Hits int }](t, body).Hits
}

func TestRequestPastTheGatewayIsRefused(t *testing.T) {
	paths := []string{"/", "/api/echo", "/billing/1", "/booking/", "/prescriptions/1", "/ws", "/events", "/download",
		"/upload", "/api/status?code=200", "/stepup", "/hostile", "/nowhere", "/api/hits/", "/healthz/"}
	spoil := []struct {
		name string
		do   func(http.Header)
	}{
		{"no assertion", func(h http.Header) { h.Del("X-Gate-Assertion") }},
		{"empty assertion", func(h http.Header) { h.Set("X-Gate-Assertion", "") }},
		{"two assertions", func(h http.Header) { h.Add("X-Gate-Assertion", "other") }},
		{"no practice", func(h http.Header) { h.Del("X-Practice-Id") }},
		{"two practices", func(h http.Header) { h.Add("X-Practice-Id", "wattle") }},
	}
	url := start(t, backend.Options{})
	for _, path := range paths {
		for _, s := range spoil {
			r := request(t, http.MethodGet, url+path, nil)
			s.do(r.Header)
			answer, body := do(t, r)
			if answer.StatusCode != http.StatusUnauthorized || strings.TrimSpace(body) != `{"error":"not through the gateway"}` {
				t.Errorf("%s with %s: got %d %q", path, s.name, answer.StatusCode, body)
			}
		}
	}
}

func TestAssertionThatDoesNotVerifyIsRefused(t *testing.T) {
	url := start(t, backend.Options{Verify: func(_ context.Context, _, assertion string) error {
		if assertion != "good" {
			return errors.New("the signature does not fit: secret detail")
		}
		return nil
	}})
	for assertion, want := range map[string]int{"good": http.StatusOK, "forged": http.StatusUnauthorized} {
		r := request(t, http.MethodGet, url+"/api/echo", nil)
		r.Header.Set("X-Gate-Assertion", assertion)
		answer, body := do(t, r)
		if answer.StatusCode != want || strings.Contains(body, "secret detail") {
			t.Errorf("%s: got %d %s, want %d", assertion, answer.StatusCode, body, want)
		}
	}
}

func TestHealthAndHitsNeedNoAssertionAndAreNotCounted(t *testing.T) {
	url := start(t, backend.Options{})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
	if answer, _ := do(t, r); answer.StatusCode != http.StatusOK {
		t.Errorf("healthz: got %d", answer.StatusCode)
	}
	if got := hits(t, url, ""); got != 0 {
		t.Errorf("hits after a probe and a look at the counter: got %d, want 0", got)
	}
}

func TestHitsCountEveryRequestByRawPath(t *testing.T) {
	url := start(t, backend.Options{})
	get(t, url+"/billing/1?x=/booking")
	get(t, url+"/billing/%2e%2e/admin")
	get(t, url+"/nowhere")
	get(t, url+"/healthz")
	refused, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/billing/2", nil)
	do(t, refused)
	want := map[string]int{"": 5, "/billing": 3, "/billing/%252e": 1, "/booking": 0, "/healthz": 1}
	got := map[string]int{}
	for prefix := range want {
		got[prefix] = hits(t, url, prefix)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hits by prefix (-want +got):\n%s", diff)
	}
}

func TestHitsStayBoundedAndNeverUndercount(t *testing.T) {
	handler := backend.New(backend.Options{})
	send := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	for i := range 10_050 {
		send("/flood/" + strings.Repeat("x", i%7) + time.Duration(i).String())
	}
	send("/late")
	for prefix, want := range map[string]int{"": 10_051, "/late": 51, "/flood": 10_051} {
		got := decode[struct{ Hits int }](t, send("/api/hits?prefix="+prefix).Body.String()).Hits
		if got != want {
			t.Errorf("hits below %q: got %d, want %d", prefix, got, want)
		}
	}
}

func TestServeStopsWithItsContext(t *testing.T) {
	ctx, stop := contextWithCancel(t)
	server, err := backend.Serve(ctx, "127.0.0.1:0", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := get(t, server.URL()+"/"); answer.StatusCode != http.StatusOK {
		t.Errorf("home page: got %d", answer.StatusCode)
	}
	if _, err := backend.Serve(ctx, strings.TrimPrefix(server.URL(), "http://"), backend.Options{}); err == nil {
		t.Error("a second server on the same port: got no error")
	}
	stop()
	<-server.Done()
	if _, err := http.DefaultTransport.RoundTrip(request(t, http.MethodGet, server.URL()+"/", nil)); err == nil {
		t.Error("still serving after its context ended")
	}
}
