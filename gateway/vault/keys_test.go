package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func keysOf(t testing.TB, v *vault.Vault, id policy.PracticeID) *vault.Keys {
	t.Helper()
	k, err := v.Practice(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var place = vault.Field{Table: "totp", Row: "person-1", Column: "secret"}

func TestSealedValueOpensInItsPlaceOnly(t *testing.T) {
	s := newState(t)
	own, foreign := keysOf(t, s.vault, "harbour"), keysOf(t, s.vault, "banksia")
	sealed, err := own.Seal(place, []byte("JBSWY3DP"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := own.Open(place, sealed)
	if err != nil || got.Reveal() != "JBSWY3DP" {
		t.Fatalf("got %q, %v", got.Reveal(), err)
	}
	tests := []struct {
		name string
		keys *vault.Keys
		f    vault.Field
	}{
		{"another practice", foreign, place},
		{"another table", own, vault.Field{Table: "password", Row: "person-1", Column: "secret"}},
		{"another row", own, vault.Field{Table: "totp", Row: "person-2", Column: "secret"}},
		{"another column", own, vault.Field{Table: "totp", Row: "person-1", Column: "pending"}},
		{"border moved", own, vault.Field{Table: "totpperson", Row: "-1", Column: "secret"}},
		{"row and column exchanged", own, vault.Field{Table: "totp", Row: "secret", Column: "person-1"}},
		{"no place", own, vault.Field{}},
		{"no keys", nil, place},
		{"zero keys", new(vault.Keys), place},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.keys.Open(tt.f, sealed)
			if !errors.Is(err, vault.ErrSealed) || !got.IsEmpty() {
				t.Errorf("got %q, %v, want ErrSealed", got.Reveal(), err)
			}
		})
	}
}

func TestMovedValueNeverOpens(t *testing.T) {
	s := newState(t)
	ids := []policy.PracticeID{"harbour", "banksia", "harbour-2"}
	// Few letters, so that different fields often have the same letters in all.
	name := rapid.StringMatching(`[ab/]{1,4}`)
	field := rapid.Custom(func(t *rapid.T) vault.Field {
		return vault.Field{Table: name.Draw(t, "table"), Row: name.Draw(t, "row"), Column: name.Draw(t, "column")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		from, to := rapid.SampledFrom(ids).Draw(rt, "from"), rapid.SampledFrom(ids).Draw(rt, "to")
		f, g := field.Draw(rt, "f"), field.Draw(rt, "g")
		plain := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(rt, "plain")
		sealed, err := keysOf(t, s.vault, from).Seal(f, plain)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := keysOf(t, s.vault, to).Open(g, sealed)
		if same := from == to && f == g; same != (err == nil) {
			rt.Fatalf("sealed for %s %v, opened for %s %v: %v", from, f, to, g, err)
		} else if same && got.Reveal() != string(plain) {
			rt.Fatalf("got %q, want %q", got.Reveal(), plain)
		}
	})
}

func TestEveryBitAndEveryLengthIsAuthenticated(t *testing.T) {
	k := keysOf(t, newState(t).vault, "harbour")
	sealed, err := k.Seal(place, []byte("a TOTP secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		bent := bytes.Clone(sealed)
		bent[i/8] ^= 1 << (i % 8)
		if _, err := k.Open(place, bent); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("bit %d turned: got %v, want ErrSealed", i, err)
		}
	}
	for n := range len(sealed) {
		if _, err := k.Open(place, sealed[:n]); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("cut to %d bytes: got %v, want ErrSealed", n, err)
		}
	}
	if _, err := k.Open(place, append(bytes.Clone(sealed), 0)); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("one byte more: got %v, want ErrSealed", err)
	}
}

func FuzzOpenSealed(f *testing.F) {
	k := keysOf(f, newState(f).vault, "harbour")
	good, err := k.Seal(place, []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, {1}, good[:5], good[:33], make([]byte, 40), bytes.Repeat([]byte{0xff}, 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if got, err := k.Open(place, sealed); !errors.Is(err, vault.ErrSealed) || !got.IsEmpty() {
			t.Errorf("%x opens", sealed)
		}
	})
}

func TestSealRefusesAnIncompletePlace(t *testing.T) {
	k := keysOf(t, newState(t).vault, "harbour")
	for _, f := range []vault.Field{{}, {Table: "t"}, {Table: "t", Row: "r"}, {Row: "r", Column: "c"}, {Table: "t", Column: "c"}} {
		if _, err := k.Seal(f, []byte("x")); err == nil {
			t.Errorf("%+v: sealed", f)
		}
	}
	if _, err := new(vault.Keys).Seal(place, []byte("x")); err == nil {
		t.Error("zero Keys sealed")
	}
}

func TestSameValueIsNeverSealedTwiceAlike(t *testing.T) {
	k := keysOf(t, newState(t).vault, "harbour")
	a, err := k.Seal(place, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.Seal(place, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		t.Error("the nonce is not random")
	}
}

func TestDerivedKeysDifferByPracticeAndLabelAndStay(t *testing.T) {
	s := newState(t)
	seen := map[string]string{}
	for _, id := range []policy.PracticeID{"harbour", "banksia"} {
		for _, label := range []string{"password pepper", "device token"} {
			key := keysOf(t, s.vault, id).Derive(label)
			if len(key) != 32 {
				t.Fatalf("got %d bytes, want 32", len(key))
			}
			name := string(id) + " " + label
			if other, dup := seen[string(key)]; dup {
				t.Errorf("%s and %s have the same key", name, other)
			}
			seen[string(key)] = name
			if again := keysOf(t, s.open(t), id).Derive(label); !bytes.Equal(key, again) {
				t.Errorf("%s changed with a restart", name)
			}
		}
	}
}

func TestDeriveWithoutAKeyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a zero Keys derived a constant key")
		}
	}()
	new(vault.Keys).Derive("password pepper")
}

func TestNodesThatStartAtOnceShareOneKey(t *testing.T) {
	s := newState(t)
	const nodes = 8
	got := make([][]byte, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		v := s.open(t)
		wg.Go(func() {
			k, err := v.Practice(t.Context(), "harbour")
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = k.Derive("x")
		})
	}
	wg.Wait()
	for i := range got {
		if !bytes.Equal(got[i], got[0]) {
			t.Errorf("node %d has another key", i)
		}
	}
}

func TestWrappedKeyMovedToAnotherPracticeDoesNotOpen(t *testing.T) {
	s := newState(t)
	keysOf(t, s.vault, "harbour")
	keysOf(t, s.vault, "banksia")
	s.exec(t, `UPDATE vault_key SET sealed = (SELECT sealed FROM vault_key WHERE practice = 'harbour') WHERE practice = 'banksia'`)
	if _, err := s.open(t).Practice(t.Context(), "banksia"); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("got %v, want ErrSealed", err)
	}
	s.exec(t, `UPDATE vault_key SET key_version = 2 WHERE practice = 'harbour'`)
	if _, err := s.open(t).Practice(t.Context(), "harbour"); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("another version: got %v, want ErrSealed", err)
	}
}

// TestRegistrysKeysAreNoPractices: what one seals the other does not open, every node has the same, and they stay when
// the master key changes.
func TestRegistrysKeysAreNoPractices(t *testing.T) {
	s := newState(t)
	keys := func(v *vault.Vault) *vault.Keys {
		t.Helper()
		k, err := v.Registry(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	field := vault.Field{Table: "t", Row: "r", Column: "c"}
	sealed, err := keys(s.vault).Seal(field, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	practice, err := s.vault.Practice(t.Context(), "north")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := practice.Open(field, sealed); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("a practice opens the registry's: %v", err)
	}
	fresh := filepath.Join(t.TempDir(), "new.key")
	if err := vault.CreateMasterKey(fresh); err != nil {
		t.Fatal(err)
	}
	if err := s.vault.Rewrap(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	s.file = fresh
	if got, err := keys(s.open(t)).Open(field, sealed); err != nil || got.Reveal() != "value" {
		t.Errorf("another node, after a change of the master key: %v", err)
	}
}

func TestBadPracticeIDGetsNoKey(t *testing.T) {
	v := newState(t).vault
	for _, id := range []policy.PracticeID{"", "A", "../x", "a"} {
		if _, err := v.Practice(t.Context(), id); err == nil {
			t.Errorf("%q has a key", id)
		}
	}
}

func TestDestroyedKeyOpensNothingAndTheIDGetsAnother(t *testing.T) {
	s := newState(t)
	k := keysOf(t, s.vault, "harbour")
	sealed, err := k.Seal(place, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.vault.Destroy(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	if _, err := keysOf(t, s.vault, "harbour").Open(place, sealed); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("got %v, want ErrSealed", err)
	}
}

func TestRegistryGoneIsUnavailable(t *testing.T) {
	set, err := databasetest.Open(t, database.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "master.key")
	if err := vault.CreateMasterKey(file); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), file, set.Registry(), nil)
	if err != nil {
		t.Fatal(err)
	}
	known := keysOf(t, v, "harbour")
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Practice(t.Context(), "banksia"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if k := keysOf(t, v, "harbour"); k != known {
		t.Error("the key in memory is gone")
	}
}

func TestEveryPracticeHasACheckpointKey(t *testing.T) {
	v := newState(t).vault
	for i := range 40 { // keys are encoded in base64, which has the separator of notes in its alphabet
		if _, _, err := v.CheckpointKey(t.Context(), policy.PracticeID(fmt.Sprint("p-", i))); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckpointKeySignsForItsPracticeOnly(t *testing.T) {
	s := newState(t)
	signer, verifier, err := s.vault.CheckpointKey(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	if signer.Name() != "clinicgate/harbour" || verifier.Name() != signer.Name() {
		t.Errorf("got names %q and %q", signer.Name(), verifier.Name())
	}
	msg, err := note.Sign(&note.Note{Text: "checkpoint\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := s.open(t).CheckpointKey(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(msg, note.VerifierList(again)); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	_, other, err := s.vault.CheckpointKey(t.Context(), "banksia")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(msg, note.VerifierList(other)); err == nil {
		t.Error("banksia's key verifies harbour's checkpoint")
	}
}
