package vault_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/gateway/vault"
)

func TestCreateMasterKeyNeverReplacesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "master.key")
	if err := vault.CreateMasterKey(file); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := vault.CreateMasterKey(file); err == nil {
		t.Error("made a second key")
	}
	after, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
	if err := vault.CreateMasterKey(filepath.Join(file, "below")); err == nil {
		t.Error("made a key in a file")
	}
}

func TestBadMasterKeyFileIsRefusedWithTheRemedy(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"others may read", key, 0o644, "chmod 600"},
		{"the group may read", key, 0o640, "chmod 600"},
		{"others may write", key, 0o602, "chmod 600"},
		{"empty", "", 0o600, "32 bytes"},
		{"too short", key[:40], 0o600, "32 bytes"},
		{"too long", key + key, 0o600, "32 bytes"},
		{"not base64", strings.Repeat("!", 44), 0o600, "32 bytes"},
		{"two lines", key + "\n" + key, 0o600, "32 bytes"},
		{"url alphabet", base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)), 0o600, "32 bytes"},
		{"all zero", base64.StdEncoding.EncodeToString(make([]byte, 32)), 0o600, "32 bytes"},
		{"huge", strings.Repeat(" ", 1<<20) + key, 0o600, "32 bytes"},
	}
	s := newState(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "master.key")
			if err := os.WriteFile(file, []byte(tt.text), tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil { // whatever the umask
				t.Fatal(err)
			}
			_, err := vault.Open(t.Context(), file, s.reg, s.clock.now)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want an error naming the file and %q", err, tt.want)
			}
			if err != nil && len(tt.text) > 20 && strings.Contains(err.Error(), tt.text[:20]) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
	if _, err := vault.Open(t.Context(), filepath.Join(t.TempDir(), "none"), s.reg, nil); err == nil || !strings.Contains(err.Error(), "keys init") {
		t.Errorf("no file: got %v", err)
	}
	if _, err := vault.Open(t.Context(), t.TempDir(), s.reg, nil); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a folder: got %v", err)
	}
}

func FuzzMasterKeyText(f *testing.F) {
	f.Add([]byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)) + "\n"))
	f.Add([]byte(""))
	f.Add([]byte("AAAA"))
	f.Add(make([]byte, 5000))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := vault.ParseMasterID(text)
		raw, decodeErr := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
		if err == nil && (decodeErr != nil || len(raw) != 32 || len(id) != 16) {
			t.Errorf("%q is a key", text)
		}
	})
}

func newKeyFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "new.key")
	if err := vault.CreateMasterKey(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWrongMasterKeyIsRefused(t *testing.T) {
	s := newState(t)
	if _, err := vault.Open(t.Context(), newKeyFile(t), s.reg, s.clock.now); !errors.Is(err, vault.ErrWrongMaster) {
		t.Errorf("got %v, want ErrWrongMaster", err)
	}
}

func TestRewrapKeepsWhatIsSealedAndLocksTheOldKeyOut(t *testing.T) {
	s := newState(t)
	k := keysOf(t, s.vault, "harbour")
	pepper := k.Derive("password pepper")
	sealed, err := k.Seal(place, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	kid, _ := s.vault.Signing().Current()
	running := s.open(t) // another node, which knows nothing yet
	fresh := newKeyFile(t)
	if err := s.vault.Rewrap(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(t.Context(), s.file, s.reg, s.clock.now); !errors.Is(err, vault.ErrWrongMaster) {
		t.Errorf("the old key: got %v, want ErrWrongMaster", err)
	}
	if _, err := running.Practice(t.Context(), "harbour"); !errors.Is(err, vault.ErrWrongMaster) {
		t.Errorf("a running node before the file is there: got %v, want ErrWrongMaster", err)
	}
	if _, err := running.Practice(t.Context(), "banksia"); !errors.Is(err, vault.ErrWrongMaster) {
		t.Errorf("a running node makes a key under the old one: got %v, want ErrWrongMaster", err)
	}
	keysOf(t, s.vault, "wattle") // who made the change goes on at once
	if err := os.Rename(fresh, s.file); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*vault.Vault{"this node": s.vault, "a running node": running, "a new node": s.open(t)} {
		k := keysOf(t, v, "harbour")
		if got, err := k.Open(place, sealed); err != nil || got.Reveal() != "x" {
			t.Errorf("%s: got %q, %v", name, got.Reveal(), err)
		}
		if !bytes.Equal(k.Derive("password pepper"), pepper) {
			t.Errorf("%s: the pepper changed", name)
		}
		if err := v.Signing().Reload(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := v.Signing().Current(); got != kid {
			t.Errorf("%s: got signing key %s, want %s", name, got, kid)
		}
		keysOf(t, v, "banksia")
	}
}

func TestRewrapThatFailsChangesNothing(t *testing.T) {
	s := newState(t)
	keysOf(t, s.vault, "harbour")
	keysOf(t, s.vault, "banksia")
	if err := s.vault.Rewrap(t.Context(), s.file); err == nil {
		t.Error("rewrapped under the same key")
	}
	s.exec(t, `UPDATE vault_key SET sealed = $1 WHERE practice = 'harbour'`, []byte("damaged"))
	if err := s.vault.Rewrap(t.Context(), newKeyFile(t)); !errors.Is(err, vault.ErrSealed) || !strings.Contains(err.Error(), "harbour") {
		t.Errorf("got %v, want ErrSealed naming harbour", err)
	}
	keysOf(t, s.open(t), "banksia")
}
