package vault_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/vault"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// published returns the ids in the key set, having checked that nothing private is in it.
func published(t *testing.T, s *vault.Signing) []string {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Algorithm != "ES256" || k.Use != "sig" {
			t.Errorf("key %s is not a public ES256 key for signatures", k.KeyID)
		}
		kids = append(kids, k.KeyID)
	}
	if strings.Contains(string(s.JWKS()), `"d"`) {
		t.Error("the key set holds a private key")
	}
	return kids
}

func current(s *vault.Signing) string {
	kid, _ := s.Current()
	return kid
}

func TestNewKeyIsPublishedBeforeUseAndTheOldOneAfter(t *testing.T) {
	st := newState(t)
	s := st.vault.Signing()
	old := current(s)
	if diff := cmp.Diff([]string{old}, published(t, s)); diff != "" {
		t.Fatal(diff)
	}
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kids := published(t, s)
	if len(kids) != 2 {
		t.Fatalf("got %d keys, want the present and the next", len(kids))
	}
	next := kids[1]
	type view struct {
		Current   string
		Published []string
	}
	both := []string{old, next}
	// No Reload in between: a node switches by itself, at the same moment as all others.
	for _, step := range []struct {
		at   time.Duration
		want view
	}{
		{0, view{old, both}},
		{10 * time.Minute, view{old, both}},
		{12*time.Minute - time.Microsecond, view{old, both}},
		{12 * time.Minute, view{next, both}},
		{22*time.Minute + time.Second, view{next, both}},
		{24 * time.Minute, view{next, []string{next}}},
	} {
		st.clock.us.Store(newClock().us.Load() + step.at.Microseconds())
		if diff := cmp.Diff(step.want, view{current(s), published(t, s)}); diff != "" {
			t.Errorf("after %v: %s", step.at, diff)
		}
	}
	st.clock.us.Store(newClock().us.Load()) // the clock is set back
	if got := current(s); got != old {
		t.Errorf("clock set back: got %s, want the old key", got)
	}
}

func TestEveryTokenSignedIsVerifiableByACachedKeySet(t *testing.T) {
	st := newState(t)
	s := st.vault.Signing()
	const step, cacheLife, tokenLife = 30 * time.Second, 9 * time.Minute, time.Minute
	type cached struct {
		at   time.Time
		kids []string
	}
	var cache []cached
	for i := range 200 {
		if i%40 == 10 {
			if err := s.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		now := st.clock.now()
		cache = append(cache, cached{now, published(t, s)})
		kid := current(s)
		for _, c := range cache {
			if now.Sub(c.at) <= cacheLife && !slices.Contains(c.kids, kid) {
				t.Fatalf("at step %d a key set of %v ago lacks the key that signs", i, now.Sub(c.at))
			}
		}
		st.clock.advance(tokenLife)
		if !slices.Contains(published(t, s), kid) {
			t.Fatalf("at step %d the key of a live token is no longer published", i)
		}
		st.clock.advance(step - tokenLife)
	}
}

func TestNodesThatStartAtOnceMakeOneSigningKey(t *testing.T) {
	set, err := databasetest.Open(t, database.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	file := newKeyFile(t)
	const nodes = 6
	kids := make([]string, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			v, err := vault.Open(t.Context(), file, set.Registry(), newClock().now)
			if err != nil {
				t.Error(err)
				return
			}
			if err := v.Signing().Rotate(t.Context()); err != nil {
				t.Error(err)
			}
			kids[i] = current(v.Signing())
			if n := len(published(t, v.Signing())); n != 2 {
				t.Errorf("node %d: got %d keys, want the present and one next", i, n)
			}
		})
	}
	wg.Wait()
	if slices.Sort(kids); kids[0] != kids[nodes-1] {
		t.Errorf("the nodes sign with different keys: %v", kids)
	}
}

func TestRotateIfOlderWaitsForTheAge(t *testing.T) {
	st := newState(t)
	s := st.vault.Signing()
	for _, step := range []struct {
		advance time.Duration
		want    int
	}{{29 * 24 * time.Hour, 1}, {24 * time.Hour, 2}, {time.Minute, 2}, {time.Hour, 1}} {
		st.clock.advance(step.advance)
		if err := s.RotateIfOlder(t.Context(), 30*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := len(published(t, s)); got != step.want {
			t.Errorf("after %v more: got %d keys, want %d", step.advance, got, step.want)
		}
	}
}

func TestExpiredKeysAreDeletedInTime(t *testing.T) {
	st := newState(t)
	s := st.vault.Signing()
	for range 5 {
		if err := s.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		st.clock.advance(time.Hour)
	}
	var n int
	err := st.reg.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT count(*) FROM signing_key`).Scan(&n)
	})
	if err != nil || n > 3 {
		t.Errorf("got %d keys, %v, want at most 3", n, err)
	}
}

func TestSigningKeyThatWasExchangedIsRefusedAndTheLoadedOneStays(t *testing.T) {
	st := newState(t)
	s := st.vault.Signing()
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := published(t, s)
	kid := current(s)
	tests := []struct{ name, statement string }{
		{"sealed part of another key", `UPDATE signing_key SET sealed = (SELECT sealed FROM signing_key WHERE kid <> $1) WHERE kid = $1`},
		{"public part of another key", `UPDATE signing_key SET public = (SELECT public FROM signing_key WHERE kid <> $1) WHERE kid = $1`},
		{"another name", `UPDATE signing_key SET kid = 'x' || $1 WHERE kid = $1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var backup [2][]byte
			err := st.reg.Read(t.Context(), func(tx *database.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT sealed, public FROM signing_key WHERE kid = $1`, kid).Scan(&backup[0], &backup[1])
			})
			if err != nil {
				t.Fatal(err)
			}
			st.exec(t, tt.statement, kid)
			if err := s.Reload(t.Context()); !errors.Is(err, vault.ErrSealed) {
				t.Errorf("got %v, want ErrSealed", err)
			}
			if diff := cmp.Diff(before, published(t, s)); diff != "" || current(s) != kid {
				t.Errorf("the loaded keys changed: %s", diff)
			}
			st.exec(t, `UPDATE signing_key SET kid = $1 WHERE kid = 'x' || $1`, kid)
			st.exec(t, `UPDATE signing_key SET sealed = $1, public = $2 WHERE kid = $3`, backup[0], backup[1], kid)
		})
	}
	if err := s.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnotherNodesRotationArrivesWithReload(t *testing.T) {
	st := newState(t)
	other := st.open(t)
	if err := st.vault.Signing().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Signing().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(published(t, st.vault.Signing()), published(t, other.Signing())); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkCurrent(b *testing.B) {
	s := newState(b).vault.Signing()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Current()
	}
}
