package app_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage" // where the authority would keep its key
	"github.com/google/go-cmp/cmp"

	"clinicgate/modules/app"
)

var update = flag.Bool("update", false, "write the goldens anew; read the difference before you commit it")

// probe is a handler that asks for the core as the gateway's own handlers do, and
// keeps the server that it was provisioned for.
type probe struct{}

var provisionedFor *caddyhttp.Server

func init() { caddy.RegisterModule(probe{}) }

func (probe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.app_probe", New: func() caddy.Module { return new(probe) }}
}

func (*probe) Provision(ctx caddy.Context) error {
	provisionedFor, _ = ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	_, err := app.Core(ctx)
	return err
}

func (*probe) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// validate checks a config whose one server has these fields beside the probe.
func validate(t *testing.T, fields string) error {
	t.Helper()
	return validateWith(t, fields, `{}`)
}

// validateWith also has settings of the tls app.
func validateWith(t *testing.T, fields, tls string) error {
	t.Helper()
	server := map[string]any{
		"listen": []string{":8443"},
		"routes": []any{map[string]any{"handle": []any{map[string]any{"handler": "app_probe"}}}},
	}
	if err := json.Unmarshal([]byte(fields), &server); err != nil {
		t.Fatal(err)
	}
	config := caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true},
		AppsRaw: caddy.ModuleMap{
			"tls":        json.RawMessage(tls),
			"clinicgate": json.RawMessage(`{"state":"` + t.TempDir() + `"}`),
			"http":       asJSON(t, map[string]any{"servers": map[string]any{"gate": server}}),
		},
	}
	return caddy.Validate(&config)
}

func asJSON(t *testing.T, value any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestServerWithoutALineIsSafe: what the config does not say is the safe value.
func TestServerWithoutALineIsSafe(t *testing.T) {
	for name, fields := range map[string]string{
		"nothing said":      `{}`,
		"all said":          `{"strict_sni_host": true, "allow_0rtt": false, "trusted_proxies_strict": 1}`,
		"proxies, not how":  `{"trusted_proxies": {"source": "static", "ranges": ["10.0.0.0/24"]}}`,
		"right suites":      `{"tls_connection_policies": [{"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]}]}`,
		"only the newest":   `{"tls_connection_policies": [{"protocol_min": "tls1.3"}]}`,
		"other error pages": `{"errors": {"routes": []}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := validate(t, fields); err != nil {
				t.Fatal(err)
			}
			s := provisionedFor
			if s.StrictSNIHost == nil || !*s.StrictSNIHost || s.Allow0RTT == nil || *s.Allow0RTT || s.TrustedProxiesStrict != 1 {
				t.Errorf("strict SNI %v, 0-RTT %v, strict proxies %d", s.StrictSNIHost, s.Allow0RTT, s.TrustedProxiesStrict)
			}
		})
	}
}

// TestServerAgainstThePromisesIsRefused, with a sentence that says what to write.
func TestServerAgainstThePromisesIsRefused(t *testing.T) {
	for name, fields := range map[string]string{
		"strict_sni_off":    `{"strict_sni_host": false}`,
		"0rtt_on":           `{"allow_0rtt": true}`,
		"cbc_suite":         `{"tls_connection_policies": [{}, {"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"]}]}`,
		"rsa_suite":         `{"tls_connection_policies": [{"cipher_suites": ["TLS_RSA_WITH_AES_128_GCM_SHA256"]}]}`,
		"unknown_suite":     `{"tls_connection_policies": [{"cipher_suites": ["{env.SUITE}"]}]}`,
		"secrets_log":       `{"tls_connection_policies": [{"insecure_secrets_log": "/tmp/secrets"}]}`,
		"on_demand_for_all": `{}`,
		"old_version":       `{"tls_connection_policies": [{"protocol_min": "tls1.1"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, fields)
			if name == "on_demand_for_all" {
				err = validateWith(t, fields, `{"automation": {"policies": [{"on_demand": true, "issuers": [{"module": "internal"}]}]}}`)
			}
			if err == nil {
				t.Fatal("accepted")
			}
			golden := "testdata/refused_" + name + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*probe)(nil)
	_ caddyhttp.MiddlewareHandler = (*probe)(nil)
)
