package certstore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"clinicgate/gateway/certstore"
	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a pace for tests: dead is far longer than a beat, whatever the machine is doing.
var quick = certstore.Pace{Beat: 20 * time.Millisecond, Look: 5 * time.Millisecond, Dead: 2 * time.Second}

// installation is one state that several nodes work on.
type installation struct{ dir, key string }

func install(t *testing.T) *installation {
	t.Helper()
	i := &installation{dir: t.TempDir(), key: filepath.Join(t.TempDir(), "master.key")}
	if err := vault.CreateMasterKey(i.key); err != nil {
		t.Fatal(err)
	}
	return i
}

// node is one process's view of the installation.
type node struct {
	*certstore.Store
	set *database.Set
}

// start opens the installation's databases as a process of its own does. ahead is by how much its clock is off.
func (i *installation) start(t *testing.T, pace certstore.Pace, ahead time.Duration) *node {
	t.Helper()
	set, err := databasetest.Open(t, database.Options{Dir: i.dir})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(ahead) }
	v, err := vault.Open(t.Context(), i.key, set.Registry(), now)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{certstore.New(set.Registry(), v, now, pace), set}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}
