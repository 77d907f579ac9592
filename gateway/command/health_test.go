package command_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// admin answers as Caddy's admin socket does, with these figures.
func admin(t *testing.T, socket, figures string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || r.Host != "127.0.0.1" {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(w, figures)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestHealthIsWhatTheAdminSocketSays(t *testing.T) {
	const fine = "# HELP clinicgate_practices Practices in the index.\nclinicgate_practices 3\nclinicgate_broken_practices 0\n" +
		"clinicgate_refusals_total{reason=\"x\"} 9\nclinicgate_feed_age_seconds 0.2\n"
	for name, c := range map[string]struct {
		figures, want string
		code          int
	}{
		"serves":         {fine, "The gateway serves 3 practices.", 0},
		"one is broken":  {strings.Replace(fine, "broken_practices 0", "broken_practices 1", 1), "1 of them cannot be served", 0},
		"another server": {"go_goroutines 12\n", "it does not run the gateway", 1},
		"registry away":  {strings.Replace(fine, "seconds 0.2", "seconds 31", 1), "has not been able to read its registry for 31 s", 1},
		"never read":     {strings.Replace(fine, "seconds 0.2", "seconds 9.2e+09", 1), "has not been able to read its registry", 1},
		"no number":      {strings.Replace(fine, "seconds 0.2", "seconds NaN", 1), "has not been able to read its registry", 1},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			admin(t, filepath.Join(state, "admin.sock"), c.figures)
			config := write(t, "config.json", `{"admin":{"listen":"unix/`+filepath.Join(state, "admin.sock")+`|0600"},"apps":{"clinicgate":{"state":"x"}}}`)
			for _, args := range [][]string{{"health", "--state", state}, {"health", "--config", config}} {
				o := run(t, "", args...)
				if o.code != c.code || !strings.Contains(o.String(), c.want) {
					t.Errorf("%v: exit %d, says %q; want %d and %q", args[1], o.code, o, c.code, c.want)
				}
			}
		})
	}
}

func TestHealthWithoutAnAnswerIsUnhealthy(t *testing.T) {
	refuses(t, 1, "does not answer on its admin address", "", "health", "--state", t.TempDir())
	off := write(t, "config.json", `{"admin":{"disabled":true},"apps":{}}`)
	refuses(t, 1, "turns the admin interface off", "", "health", "--config", off)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	refuses(t, 1, "does not answer within 200ms", "", "health", "--url", "http://"+silent.Addr().String(), "--timeout", "200ms")
}

func TestHealthAsksAnAddressFromOutside(t *testing.T) {
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fine":
		case "/moved":
			http.Redirect(w, r, "/fine", http.StatusFound)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer answers.Close()
	if got := doJSON(t, "health", "--url", answers.URL+"/fine"); got["healthy"] != true {
		t.Errorf("got %v", got)
	}
	refuses(t, 1, "answers 503", "", "health", "--url", answers.URL+"/broken")
	refuses(t, 1, "answers 302", "", "health", "--url", answers.URL+"/moved")
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	refuses(t, 1, "certificate", "", "health", "--url", tls.URL) // never without knowing who answers
}
