package boundary_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// TestBackendOverTLSSeesTheHost that the browser asked for: a backend of several
// practices makes the addresses of its answers from it.
func TestBackendOverTLSSeesTheHost(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	g := rig.Seed(t, rig.Document(t, "acacia", "127.0.0.1:9000", strings.TrimPrefix(server.URL, "https://"))).
		Run(t, rig.Config{Gateway: "backend_tls {\n\t\t\tca " + ca + "\n\t\t\tserver_name example.com\n\t\t}"})
	host := rig.Host(g, "acacia")
	for _, protocol := range protocols {
		answer := rig.Send(t, g, rig.Request{Protocol: protocol, Host: host, Target: "/booking/x"})
		if answer.Status != http.StatusOK || answer.Text != host {
			t.Errorf("%s: %d, the backend saw the host %q, want %q", protocol, answer.Status, answer.Text, host)
		}
	}
}

// TestBackendHeaderFlood: what a backend says before its body has a bound.
func TestBackendHeaderFlood(t *testing.T) {
	h := startHostile(t)
	for size, want := range map[int]int{200 << 10: http.StatusOK, 300 << 10: http.StatusBadGateway} {
		text := "HTTP/1.1 200 OK\nX-A: " + strings.Repeat("a", size) + "\nContent-Length: 0\nConnection: close\n\n"
		if answer := h.ask(t, "h1", text); answer.Status != want {
			t.Errorf("%d bytes: %d, want %d", size, answer.Status, want)
		}
	}
}
