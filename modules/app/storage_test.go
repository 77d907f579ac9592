package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"clinicgate/gateway/core"
	"clinicgate/modules/app"
)

// TestCertificatesInFilesAreTakenOverOnce: a gateway that goes from files to the registry orders
// nothing anew, and what it has since got or removed there stays so.
func TestCertificatesInFilesAreTakenOverOnce(t *testing.T) {
	a := opened(t)
	ctx := t.Context()
	files := &certmagic.FileStorage{Path: filepath.Join(a.State, "caddy")}
	const crt, key, lock = "certificates/ca/a.test/a.test.crt", "certificates/ca/a.test/a.test.key", "locks/issue.lock"
	for _, name := range []string{crt, key, lock} {
		if err := files.Store(ctx, name, []byte("file "+name)); err != nil {
			t.Fatal(err)
		}
	}
	storage := func() certmagic.Storage {
		t.Helper()
		s, err := a.CertificateStorage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := storage()
	for name, want := range map[string]bool{crt: true, key: true, lock: false} {
		if got := s.Exists(ctx, name); got != want {
			t.Errorf("%s is taken over: %v, want %v", name, got, want)
		}
	}
	if got, err := s.Load(ctx, key); err != nil || string(got) != "file "+key {
		t.Errorf("the key: %q, %v", got, err)
	}
	if err := s.Store(ctx, crt, []byte("renewed")); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	s = storage()
	if got, err := s.Load(ctx, crt); err != nil || string(got) != "renewed" {
		t.Errorf("after another start: %q, %v", got, err)
	}
	if s.Exists(ctx, key) {
		t.Error("what was removed has come back")
	}
	if info, err := s.Stat(ctx, "certificates/ca"); err != nil || info.IsTerminal {
		t.Errorf("a folder: %+v, %v", info, err)
	}
}

// TestValidatingKeepsNoCertificates: it works without a state, and leaves none.
func TestValidatingKeepsNoCertificates(t *testing.T) {
	ctx := t.Context()
	s, err := new(app.App).CertificateStorage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Lock(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Store(ctx, "a", []byte("x")); err != nil || s.Exists(ctx, "a") {
		t.Errorf("kept: %v", err)
	}
}

// TestClusterWithCertificatesOnOneMachineIsRefused, with the line to write.
func TestClusterWithCertificatesOnOneMachineIsRefused(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"cluster.yaml": "postgres: {registry: 'postgres://gate@db.test/registry', practices: 'postgres://gate@db.test/{practice}'}"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true},
		StorageRaw: json.RawMessage(`{"module": "file_system", "root": "` + dir + `/caddy"}`),
		AppsRaw: caddy.ModuleMap{
			"clinicgate": asJSON(t, core.Files{State: dir, Cluster: filepath.Join(dir, "cluster.yaml")}),
			"http": asJSON(t, map[string]any{"servers": map[string]any{"gate": map[string]any{
				"listen": []string{":8443"}, "routes": []any{map[string]any{"handle": []any{map[string]any{"handler": "app_probe"}}}},
			}}}),
		},
	}
	if err := caddy.Validate(&config); err == nil || !strings.Contains(err.Error(), "write `storage practice`") {
		t.Errorf("got %v", err)
	}
}
