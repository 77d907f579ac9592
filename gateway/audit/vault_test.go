package audit_test

import (
	"path/filepath"
	"testing"
	"time"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/vault"
)

var _ audit.Keys = (*vault.Vault)(nil)

// TestWithTheVaultsOwnKeys: a log signed with a vault's key verifies after a restart with
// the same master key.
func TestWithTheVaultsOwnKeys(t *testing.T) {
	b := newBench(t)
	master := filepath.Join(t.TempDir(), "master.key")
	if err := vault.CreateMasterKey(master); err != nil {
		t.Fatal(err)
	}
	for round := range int64(3) {
		v, err := vault.Open(t.Context(), master, b.set.Registry(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		b.keys = v
		log := audit.New(audit.Options{DB: b.set, Vault: v, Now: b.clock.now})
		if err := log.Append(t.Context(), harbour, event("x")); err != nil {
			t.Fatal(err)
		}
		r, err := log.Verify(t.Context(), harbour, nil)
		if err != nil || !r.Intact || r.Rows != round+1 {
			t.Fatalf("Verify = %+v, %v", r, err)
		}
		if err := log.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.clock.add(time.Hour)
	}
}

// TestUnknownPracticeMakesNoKey: asking for a practice that does not exist leaves no
// trace in the registry.
func TestUnknownPracticeMakesNoKey(t *testing.T) {
	b := newBench(t)
	k := &countingKeys{Keys: b.keys, gate: make(chan struct{})}
	k.open()
	log := audit.New(audit.Options{DB: b.set, Vault: k, Now: b.clock.now})
	_ = log.Append(t.Context(), "nobody", event("x"))
	_, _ = log.Verify(t.Context(), "nobody", nil)
	if err := log.Close(t.Context()); err != nil || k.count() != 0 {
		t.Errorf("%d keys asked for, Close = %v", k.count(), err)
	}
}
