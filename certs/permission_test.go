package certs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
	"github.com/google/go-cmp/cmp"

	"clinicgate/certs"
)

// index is the hosts that practices have, and what was asked for.
type index struct {
	known  map[string]bool
	asked  []string
	limits map[string]error
}

func (i *index) KnownHost(host string) bool {
	if i.asked != nil {
		i.asked = append(i.asked, host)
	}
	return i.known[host]
}

func (i *index) OrderCertificate(_ context.Context, host string) error { return i.limits[host] }

// TestOnlyAPracticesOwnHostGetsACertificate: exactly as the directory has it. Caddy
// hands names over in lower case; any other spelling is nobody's.
func TestOnlyAPracticesOwnHostGetsACertificate(t *testing.T) {
	t.Setenv("HOST", "harbour.clinic.test")
	p := certs.NewPermission(&index{known: map[string]bool{"harbour.clinic.test": true}})
	for name, allowed := range map[string]bool{
		"harbour.clinic.test":            true,
		"Harbour.clinic.test":            false,
		"HARBOUR.CLINIC.TEST":            false,
		"harbour.clinic.test.":           false,
		".harbour.clinic.test":           false,
		"www.harbour.clinic.test":        false,
		"clinic.test":                    false,
		"*.clinic.test":                  false,
		"harbour.clinic.test:443":        false,
		" harbour.clinic.test":           false,
		"harbour.clinic.test\x00":        false,
		"harbour.clinic.test.evil.test":  false,
		"{env.HOST}":                     false,
		"{http.request.host}":            false,
		"harbour{http.x}.clinic.test":    false,
		"127.0.0.1":                      false,
		"[::1]":                          false,
		"":                               false,
		strings.Repeat("a.", 5000) + "b": false,
	} {
		err := p.CertificateAllowed(t.Context(), name)
		if allowed && err != nil || !allowed && !errors.Is(err, caddytls.ErrPermissionDenied) {
			t.Errorf("%.40q: got %v, want allowed %v", name, err, allowed)
		}
	}
}

// TestZeroPermissionRefuses: one that was never provisioned knows nobody.
func TestZeroPermissionRefuses(t *testing.T) {
	err := new(certs.Permission).CertificateAllowed(t.Context(), "harbour.clinic.test")
	if !errors.Is(err, caddytls.ErrPermissionDenied) {
		t.Errorf("got %v", err)
	}
}

// TestTenThousandNamesCostTenThousandQuestions: a stranger who tries names causes one
// look into memory each, about the very name, and nothing else: nothing is kept, and
// allowing a name does not even allocate.
func TestTenThousandNamesCostTenThousandQuestions(t *testing.T) {
	hosts := &index{known: map[string]bool{"harbour.clinic.test": true}, asked: []string{}}
	p := certs.NewPermission(hosts)
	var want []string
	for k := range 10_000 {
		want = append(want, fmt.Sprintf("n%d.stranger.test", k))
		if err := p.CertificateAllowed(t.Context(), want[k]); err == nil {
			t.Fatalf("%s is allowed", want[k])
		}
	}
	if diff := cmp.Diff(want, hosts.asked); diff != "" {
		t.Errorf("what was asked (-want +got):\n%s", diff)
	}
	hosts.asked = nil
	if got := testing.AllocsPerRun(100, func() { _ = p.CertificateAllowed(t.Context(), "harbour.clinic.test") }); got != 0 {
		t.Errorf("allowing a name allocates %v times", got)
	}
}

// TestPermissionTakesNoOptions in the Caddyfile.
func TestPermissionTakesNoOptions(t *testing.T) {
	for text, wantErr := range map[string]string{
		"practice":                  "",
		"practice all":              `not "all"`,
		"practice {\n\tall yes\n}":  `not "all"`,
		"practice {$NOTHING_AT_ALL": `takes no options`,
	} {
		err := new(certs.Permission).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("permission %s: got %v, want %q", text, err, wantErr)
		}
	}
}

// TestPermissionNeedsTheApp: without the clinicgate app there is nobody to ask, and
// the config is refused.
func TestPermissionNeedsTheApp(t *testing.T) {
	err := caddy.Validate(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		AppsRaw: caddy.ModuleMap{"tls": []byte(`{"automation": {"on_demand": {"permission": {"module": "practice"}}}}`)},
	})
	if err == nil || !strings.Contains(err.Error(), "unknown module: clinicgate") {
		t.Errorf("got %v", err)
	}
}

// TestOrderThatIsRefusedIsNotMadeAndNotTriedAgain: CertMagic asks right before it orders.
func TestOrderThatIsRefusedIsNotMadeAndNotTriedAgain(t *testing.T) {
	tooMany := errors.New("too many")
	p := certs.NewPermission(&index{limits: map[string]error{"busy.clinic.test": tooMany}})
	for host, want := range map[string]error{"busy.clinic.test": tooMany, "quiet.clinic.test": nil} {
		err := p.Handle(t.Context(), caddy.Event{Data: map[string]any{"identifier": host}})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", host, err, want)
		}
		var final certmagic.ErrNoRetry
		if want != nil && (!errors.Is(err, caddy.ErrEventAborted) || !errors.As(err, &final)) {
			t.Errorf("%s: %v does not stop the order for good", host, err)
		}
	}
}

// TestStorageTakesNoOptions in the Caddyfile, and refuses when nobody has provisioned it.
func TestStorageTakesNoOptions(t *testing.T) {
	for text, wantErr := range map[string]string{
		"practice":                 "",
		"practice /var/lib":        `not "/var/lib"`,
		"practice {\n\troot /x\n}": `not "root"`,
	} {
		err := new(certs.Storage).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("storage %s: got %v, want %q", text, err, wantErr)
		}
	}
	if s, err := new(certs.Storage).CertMagicStorage(); err == nil {
		t.Errorf("a storage that nobody provisioned is %v", s)
	}
}

// TestStorageNeedsTheApp: without the clinicgate app there is no registry, and the config
// is refused with the remedy.
func TestStorageNeedsTheApp(t *testing.T) {
	err := caddy.Validate(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true},
		StorageRaw: []byte(`{"module": "practice"}`),
	})
	if err == nil || !strings.Contains(err.Error(), "write `clinicgate {`") {
		t.Errorf("got %v", err)
	}
}
