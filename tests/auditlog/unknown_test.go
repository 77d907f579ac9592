package auditlog_test

import (
	"net/http"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// A request for a host of no practice is counted and stored nowhere: there is no log that
// it belongs to, and no end to what scanners ask for.
func TestUnknownHostIsCountedAndStoredNowhere(t *testing.T) {
	t.Parallel()
	const name = "canary-host-of-nobody"
	state := t.TempDir()
	g := harness.StartIn(t, state)
	p := g.Practice("acacia")
	req := probe.Page(p, "/canary-path-of-nobody")
	req.Host = strings.Replace(req.URL.Host, "acacia", name, 1)
	if res := probe.Send(t, probe.Client(t, g, ""), req); res.StatusCode != http.StatusMisdirectedRequest {
		t.Fatalf("%s, want 421", res.Status)
	}
	if n := probe.Metric(t, g, `clinicgate_refusals_total{reason="unknown_host"}`); n != 1 {
		t.Errorf("%v are counted, want 1", n)
	}
	_, metrics := probe.Admin(t, g, http.MethodGet, "/metrics", "")
	g.Stop()
	shown := files(t, state)
	shown["log"], shown["metrics"] = g.Log(), metrics
	for where, text := range shown {
		if strings.Contains(text, "of-nobody") {
			t.Errorf("it stands in %s", where)
		}
	}
}
