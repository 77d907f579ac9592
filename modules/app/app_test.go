package app_test

import (
	"context"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"clinicgate/gateway/core"
	"clinicgate/gateway/vault"
	"clinicgate/modules/app"
)

// TestStartSetsTheCollectorsPace: without it the gateway is a tenth slower, and nothing else tells
// (docs/decisions/0011-collector-and-metrics.md). GOGC of the operator's wins.
func TestStartSetsTheCollectorsPace(t *testing.T) {
	for name, row := range map[string]struct {
		gogc string
		want uint64
	}{
		"as shipped":             {"", 400},
		"the operator's own way": {"100", 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", row.gogc)
			before := debug.SetGCPercent(100)
			t.Cleanup(func() { debug.SetGCPercent(before) })
			a := opened(t)
			if got := gcPercent(); got != 100 {
				t.Fatalf("the pace is %d before the start, want 100: a config that is only checked changes nothing", got)
			}
			if err := a.Start(); err != nil {
				t.Fatal(err)
			}
			if got := gcPercent(); got != row.want {
				t.Errorf("the pace is %d, want %d", got, row.want)
			}
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// opened is an app on an installation of its own, provisioned as Caddy does.
func opened(t *testing.T) *app.App {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	state := t.TempDir()
	if err := vault.CreateMasterKey(filepath.Join(state, "master.key")); err != nil {
		t.Fatal(err)
	}
	a := &app.App{Files: core.Files{State: state}}
	if err := a.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func gcPercent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
