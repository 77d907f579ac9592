package tls_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestOneFailingPageStopsNobodyElse: a page on which the backend hangs up, or thinks
// for too long, fails for whoever asks for it. The backend's other pages go on, for
// this practice and for those that share the backend. Nothing is sent again but what
// net/http sends again itself: a GET that met a connection which was being closed.
func TestOneFailingPageStopsNobodyElse(t *testing.T) {
	i := prepare(t, "\tpractice_gateway\n", "\tpractice_gateway {\n\t\tresponse_timeout 300ms\n\t}\n")
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/public/json", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	mux.HandleFunc("/public/hang-up", func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/public/slow", func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-r.Context().Done()
	})
	backend := httptest.NewServer(mux)
	t.Cleanup(backend.Close)
	for _, host := range []string{north, south} {
		i.practice(t, host, strings.TrimPrefix(backend.URL, "http://"))
	}
	i.start(t)
	i.trustInternal(t)
	client := i.client(t, "h2", "")
	for path, want := range map[string]struct {
		status int
		most   int64
	}{"/public/hang-up": {http.StatusBadGateway, 2}, "/public/slow": {http.StatusGatewayTimeout, 1}} {
		for range 5 {
			asked.Store(0)
			res := do(t, client, request(t, http.MethodGet, north, path, asPage...))
			checkHSTS(t, res, want.status)
			if got := asked.Load(); got < 1 || got > want.most {
				t.Errorf("%s reached the backend %d times", path, got)
			}
			if res.Header.Get("Retry-After") == "" || strings.Contains(res.text, backend.URL) {
				t.Errorf("%s: headers %v, page %.200s", path, res.Header, res.text)
			}
			for _, host := range []string{north, south} {
				if res := do(t, client, request(t, http.MethodGet, host, "/public/json")); res.StatusCode != http.StatusOK {
					t.Fatalf("after %s, %s answers %s", path, host, res.Status)
				}
			}
		}
	}
}

// TestNextBackendTakesOver when those before it take no connection: no request fails,
// whatever its method, and none is sent twice.
func TestNextBackendTakesOver(t *testing.T) {
	i := prepare(t)
	var asked atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(backend.Close)
	i.practice(t, north, "127.0.0.1:1, 127.0.0.1:2, "+strings.TrimPrefix(backend.URL, "http://"))
	i.start(t)
	i.trustInternal(t)
	client := i.client(t, "h1", "")
	for n, method := range []string{"POST", "GET", "POST", "PUT", "GET", "DELETE"} {
		res := do(t, client, request(t, method, north, "/public/json", "Origin", "https://"+north))
		if res.StatusCode != http.StatusOK || asked.Load() != int64(n+1) {
			t.Errorf("%s: %s; the backend was asked %d times", method, res.Status, asked.Load())
		}
	}
}

// TestSickBackendIsLeftOut that takes connections and says itself that it is not well: the next one
// is asked, until it is well again. When all say so, none is left out. The check
// carries no identity.
func TestSickBackendIsLeftOut(t *testing.T) {
	var sick [2]atomic.Bool
	var addresses []string
	for n := range sick {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/healthz" && (r.Header.Get("X-Practice-Id") != "" || r.Header.Get("X-Gate-Assertion") != ""):
				t.Error("the check claims to be a request")
			case r.URL.Path == "/healthz" && sick[n].Load():
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprint(w, n)
		}))
		t.Cleanup(backend.Close)
		addresses = append(addresses, strings.TrimPrefix(backend.URL, "http://"))
	}
	i := prepare(t, "\tpractice_gateway\n", "\tpractice_gateway {\n\t\tbackend_health /healthz\n\t}\n")
	i.practice(t, north, strings.Join(addresses, ", "))
	i.start(t)
	i.trustInternal(t)
	client := i.client(t, "h2", "")
	served := func(want string) {
		t.Helper()
		i.await(t, func() error {
			if res := do(t, client, request(t, http.MethodGet, north, "/public/json")); res.text != want {
				return fmt.Errorf("%s: backend %s answers, want %s", res.Status, res.text, want)
			}
			return nil
		})
	}
	served("0")
	sick[0].Store(true)
	served("1")
	sick[1].Store(true)
	served("0")
	sick[1].Store(false)
	served("1")
	sick[0].Store(false)
	served("0")
	if log := i.log.String(); !strings.Contains(log, "a backend is not well") || !strings.Contains(log, "a backend is well again") {
		t.Error("the log does not tell")
	}
}
