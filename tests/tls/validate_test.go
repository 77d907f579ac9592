package tls_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/tests/harness"
)

// TestShippedCaddyfileIsValid as it stands in config/, on a machine that is not set up
// yet. Validating leaves no trace and starts nothing.
func TestShippedCaddyfileIsValid(t *testing.T) {
	out, stderr, code := harness.Run(t, "", "validate", "--config", filepath.Join(harness.Root(), "config", "Caddyfile"))
	if code != 0 || !strings.Contains(out+stderr, "Valid configuration") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if !strings.Contains(stderr, "not set up") {
		t.Errorf("does not say that the gateway is not set up: %s", stderr)
	}
	for _, folder := range []string{"/var/lib/clinicgate", "/run/clinicgate", "/etc/clinicgate"} {
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("%s was made", folder)
		}
	}
}

// TestValidatingTouchesNoState: neither a state that is shut nor one that a gateway is
// serving from, whoever validates. A new program that looks at the config before an
// upgrade does not bring the databases to its schema.
func TestValidatingTouchesNoState(t *testing.T) {
	i := prepare(t, onDemand, onDemand) // the shipped issuer, ACME
	i.practice(t, north, "127.0.0.1:1")
	before := listing(t, i.dir)
	for _, args := range [][]string{{"validate"}, {"adapt", "--validate"}} {
		out, stderr, code := harness.Run(t, "", append(args, "--config", i.path("etc/Caddyfile"))...)
		if code != 0 || strings.Contains(stderr, "not set up") || strings.Contains(stderr, "not ready") {
			t.Errorf("%v: exit %d: %s%s", args, code, out, stderr)
		}
		if after := listing(t, i.dir); after != before {
			t.Errorf("%v changed the files from\n%sto\n%s", args, before, after)
		}
	}
}

// listing is all files below a folder, with their size and when they were changed.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			fmt.Fprintln(&all, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestUnsafeConfigIsRefused: what the shipped Caddyfile sets cannot be set the other
// way, and what is left out of it is safe all the same.
func TestUnsafeConfigIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"strict SNI off": {"strict_sni_host on", "strict_sni_host insecure_off", "write `strict_sni_host on`"},
		"CBC suites":     {onDemand, onDemand + "\t\tissuer internal\n\t\tciphers TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA\n", "forward secrecy"},
		"TLS 1.1":        {onDemand, onDemand + "\t\tissuer internal\n\t\tprotocols tls1.1\n", "tls1.1"},
		"secrets log":    {onDemand, onDemand + "\t\tissuer internal\n\t\tinsecure_secrets_log /tmp/secrets\n", "insecure_secrets_log"},
		"anybody's name": {"\ton_demand_tls {\n\t\tpermission practice\n\t}\n", "", "permission"},
	} {
		t.Run(name, func(t *testing.T) {
			i := prepare(t)
			i.write(t, "etc/Caddyfile", i.caddyfile(t, c.from, c.to))
			_, stderr, code := harness.Run(t, "", "validate", "--config", i.path("etc/Caddyfile"))
			if code == 0 || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d, does not say %q: %s", code, c.want, stderr)
			}
		})
	}
	bare := prepare(t, "\t\tstrict_sni_host on\n\t\t0rtt off\n", "", "\t\ttrusted_proxies_strict\n", "")
	bare.practice(t, north, startBackend(t))
	bare.practice(t, south, startBackend(t))
	bare.start(t)
	bare.trustInternal(t)
	req := request(t, "GET", south, "/public/json")
	req.Host = north
	if res := do(t, bare.client(t, "h2", south), req); res.StatusCode != 421 {
		t.Errorf("without the lines, a connection of one practice carries another's request: %s", res.Status)
	}
}
