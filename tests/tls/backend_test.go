package tls_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// startBackend runs a clinical backend that answers in every way that HSTS could get
// lost in, and returns its address.
func startBackend(t testing.TB) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "backend practice=%s user=%s proto=%s", r.Header.Get("X-Practice-Id"), r.Header.Get("X-User-Email"), r.Header.Get("X-Forwarded-Proto"))
	})
	mux.HandleFunc("/public/weak", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Strict-Transport-Security"] = []string{"max-age=0", "max-age=1"}
		fmt.Fprint(w, "weak")
	})
	mux.HandleFunc("/public/trailer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Strict-Transport-Security")
		fmt.Fprint(w, "trailer")
		w.Header().Set("Strict-Transport-Security", "max-age=0")
	})
	mux.HandleFunc("/public/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=0")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "after hints")
	})
	mux.HandleFunc("/public/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"ok":true}`)
	})
	mux.HandleFunc("/public/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/public/json", http.StatusFound)
	})
	mux.HandleFunc("/public/missing", http.NotFound)
	mux.HandleFunc("/public/get-only", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
	mux.HandleFunc("/public/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("/public/unchanged", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotModified)
	})
	mux.HandleFunc("/public/hang-up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}
