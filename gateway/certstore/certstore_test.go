package certstore_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/certstore"
	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
)

// TestFilesAreWhatCertMagicExpects: the contract of its storage, over two nodes.
func TestFilesAreWhatCertMagicExpects(t *testing.T) {
	i := install(t)
	a, b := i.start(t, quick, 0), i.start(t, quick, 0)
	ctx := t.Context()
	put := func(name, value string) {
		t.Helper()
		if err := a.Store.Store(ctx, name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	put("certificates/ca/a.test/a.test.crt", "one")
	put("certificates/ca/a.test/a.test.key", "two")
	put("certificates/ca/ä.test/x", "umlaut")
	put("certificates/ca2/b.test/b.test.crt", "three")
	put("certificates/ca/a.test/a.test.crt", "one again")
	put("certificates/CA/a.test/a.test.crt", "another")
	put("empty", "")

	for name, want := range map[string]string{
		"certificates/ca/a.test/a.test.crt": "one again", "certificates/ca/ä.test/x": "umlaut",
		"certificates/CA/a.test/a.test.crt": "another", "empty": "",
	} {
		if got, err := b.Load(ctx, name); err != nil || string(got) != want {
			t.Errorf("Load(%s) = %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"certificates", "certificates/ca", "certificates/ca/a.test/a.test.cr", "none", "certificates/c_"} {
		if _, err := b.Load(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load(%s): got %v, want fs.ErrNotExist", name, err)
		}
	}
	for name, want := range map[string][]string{
		"":                {"certificates", "empty"},
		"certificates":    {"certificates/CA", "certificates/ca", "certificates/ca2"},
		"certificates/ca": {"certificates/ca/a.test", "certificates/ca/ä.test"},
	} {
		if got, err := b.List(ctx, name, false); err != nil || !cmp.Equal(got, want) {
			t.Errorf("List(%q) = %v, %v, want %v", name, got, err, want)
		}
	}
	want := strings.Fields("certificates/ca/a.test certificates/ca/a.test/a.test.crt certificates/ca/a.test/a.test.key " +
		"certificates/ca/ä.test certificates/ca/ä.test/x")
	if got, err := b.List(ctx, "certificates/ca", true); err != nil || !cmp.Equal(got, want) {
		t.Errorf("all below: %v, %v, want %v", got, err, want)
	}
	for _, name := range []string{"none", "certificates/ca/a.test/a.test.crt", "certificates/c"} {
		if got, err := b.List(ctx, name, true); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("List(%s) = %v, %v, want fs.ErrNotExist", name, got, err)
		}
	}
}

// TestStatAndExists of files, folders and nothing.
func TestStatAndExists(t *testing.T) {
	n := install(t).start(t, quick, 0)
	ctx := t.Context()
	if err := n.Store.Store(ctx, "a/b/c", []byte("four")); err != nil {
		t.Fatal(err)
	}
	info, err := n.Stat(ctx, "a/b/c")
	if err != nil || info.Size != 4 || info.Folder || info.Modified.IsZero() {
		t.Errorf("a file: %+v, %v", info, err)
	}
	if info, err = n.Stat(ctx, "a/b"); err != nil || !info.Folder {
		t.Errorf("a folder: %+v, %v", info, err)
	}
	if info, err = n.Stat(ctx, "a/b/c/d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %+v, %v", info, err)
	}
	for name, want := range map[string]bool{"a": true, "a/b": true, "a/b/c": true, "a/": false, "b": false, "a/b/": false, "": false} {
		if got := n.Exists(ctx, name); got != want {
			t.Errorf("Exists(%q) = %v, want %v", name, got, want)
		}
	}
}

// TestDeleteTakesWhatIsBelowAndNothingBeside.
func TestDeleteTakesWhatIsBelowAndNothingBeside(t *testing.T) {
	n := install(t).start(t, quick, 0)
	ctx := t.Context()
	for _, name := range []string{"a/b/c", "a/b/d/e", "a/bb", "a/B/c", "a_b/c", "a%"} {
		if err := n.Store.Store(ctx, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a/b", "a_", "a%b", "none", "a/bb"} {
		if err := n.Delete(ctx, name); err != nil {
			t.Errorf("Delete(%s): %v", name, err)
		}
	}
	want := []string{"a", "a%", "a/B", "a/B/c", "a_b", "a_b/c"}
	if got, err := n.List(ctx, "", true); err != nil || !cmp.Equal(got, want) {
		t.Errorf("left: %v, %v, want %v", got, err, want)
	}
}

// TestNamesThatCouldStandForOthersAreRefused, and values without end.
func TestNamesThatCouldStandForOthersAreRefused(t *testing.T) {
	n := install(t).start(t, quick, 0)
	for _, name := range []string{"", "/a", "a/", "a//b", "a/../b", "..", "../a", ".", "a\x00b", "\xff", strings.Repeat("a", certstore.MaxName+1)} {
		if err := n.Store.Store(t.Context(), name, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Store(%.20q): got %v, want fs.ErrInvalid", name, err)
		}
		if err := n.Lock(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Lock(%.20q): got %v, want fs.ErrInvalid", name, err)
		}
	}
	if err := n.Store.Store(t.Context(), "big", make([]byte, certstore.MaxSize+1)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a value without end: %v", err)
	}
	var zero certstore.Store
	if _, err := zero.Load(t.Context(), "a"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("the zero store: %v", err)
	}
}

// TestStoredBytesShowNoPrivateKey: neither its text nor its bytes stand in any row.
func TestStoredBytesShowNoPrivateKey(t *testing.T) {
	n := install(t).start(t, quick, 0)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	const name = "certificates/ca/a.test/a.test.key"
	if err := n.Store.Store(t.Context(), name, text); err != nil {
		t.Fatal(err)
	}
	stored := n.sealed(t, name)
	secret, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for what, part := range map[string][]byte{
		"the text": text[:40], "PRIVATE": []byte("PRIVATE"), "the DER": der[:16], "the number": secret,
		"its base64": []byte(base64.StdEncoding.EncodeToString(der)[:24]),
	} {
		if bytes.Contains(stored, part) {
			t.Errorf("%s stands in the database", what)
		}
	}
	if got, err := n.Load(t.Context(), name); err != nil || !bytes.Equal(got, text) {
		t.Errorf("it does not come back: %v", err)
	}
}

// TestFileCopiedToAnotherNameIsRefused: whoever can write to the database cannot give a host another one's key.
func TestFileCopiedToAnotherNameIsRefused(t *testing.T) {
	n := install(t).start(t, quick, 0)
	ctx := t.Context()
	for _, name := range []string{"a.key", "b.key"} {
		if err := n.Store.Store(ctx, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	stored := n.sealed(t, "a.key")
	n.overwrite(t, "b.key", stored)
	if got, err := n.Load(ctx, "b.key"); !errors.Is(err, vault.ErrSealed) || got != nil {
		t.Errorf("the copy opens: %q, %v", got, err)
	}
	for k := range stored {
		altered := bytes.Clone(stored)
		altered[k] ^= 1
		n.overwrite(t, "a.key", altered)
		if got, err := n.Load(ctx, "a.key"); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("with byte %d altered it opens: %q, %v", k, got, err)
		}
	}
}

// TestDatabaseThatIsGoneIsUnavailable, and not a file that is not there: nothing is ordered in its place.
func TestDatabaseThatIsGoneIsUnavailable(t *testing.T) {
	i := install(t)
	n := i.start(t, quick, 0)
	if err := n.Store.Store(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := n.set.Close(); err != nil {
		t.Fatal(err)
	}
	_, loaded := n.Load(t.Context(), "a")
	for what, err := range map[string]error{
		"Load": loaded, "Store": n.Store.Store(t.Context(), "a", nil), "Lock": n.Lock(t.Context(), "a"), "Order": n.Order(t.Context(), "north"),
	} {
		if !errors.Is(err, database.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want database.ErrUnavailable", what, err)
		}
	}
	if n.Exists(t.Context(), "a") {
		t.Error("Exists without a database")
	}
}

// sealed is a file as it stands in the database.
func (n *node) sealed(t *testing.T, name string) (stored []byte) {
	t.Helper()
	err := n.set.Registry().Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT sealed FROM certificate_file WHERE name = $1`, name).Scan(&stored)
	})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func (n *node) overwrite(t *testing.T, name string, stored []byte) {
	t.Helper()
	err := n.set.Registry().Write(context.Background(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE certificate_file SET sealed = $1 WHERE name = $2`, stored, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
