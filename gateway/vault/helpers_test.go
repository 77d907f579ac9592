package vault_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/vault"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that the test moves.
type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// state is a registry, a key file and the vault on them.
type state struct {
	reg   *database.DB
	file  string
	clock *clock
	vault *vault.Vault
}

func newState(t testing.TB) *state {
	t.Helper()
	set, err := databasetest.Open(t, database.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	s := &state{reg: set.Registry(), file: filepath.Join(t.TempDir(), "master.key"), clock: newClock()}
	if err := vault.CreateMasterKey(s.file); err != nil {
		t.Fatal(err)
	}
	s.vault = s.open(t)
	return s
}

// open opens another vault on the same state, as another node does.
func (s *state) open(t testing.TB) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), s.file, s.reg, s.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s *state) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	err := s.reg.Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
