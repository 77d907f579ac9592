package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	keySize     = 32
	keyFileMode = 0o600
	maxKeyFile  = 1024 // bytes read of a key file; a right one has 45
)

// master is the master key: the box it makes to wrap other keys, and the id by which the registry knows it. The key
// itself is not kept.
type master struct {
	id   string
	wrap box
}

// CreateMasterKey writes a new master key to file, for its owner to read only. It never replaces a file: without the
// key in it, everything sealed so far would be lost.
func CreateMasterKey(file string) error {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, keyFileMode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the master key file %s exists already; it is left as it is", file)
	}
	if err != nil {
		return fmt.Errorf("creating the master key file: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	if err := writeAndSync(f, text); err != nil {
		_ = os.Remove(file)
		return fmt.Errorf("writing the master key file: %w", err)
	}
	return nil
}

func writeAndSync(f *os.File, text string) error {
	_, werr := f.WriteString(text)
	serr := f.Sync()
	if err := errors.Join(werr, serr, f.Close()); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readMaster reads a key file. The checks are made on the open file, not on its name, so that it cannot be exchanged
// in between.
func readMaster(file string) (*master, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the master key file %s is not there: put it back from your backup, "+
			"or on a new installation create it with \"gateway keys init\"", file)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the master key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the master key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the master key file %s is not a regular file", file)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("the master key file %s has mode %04o, others than its owner may use it: run \"chmod 600 %s\"",
			file, perm, file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the master key file: %w", err)
	}
	m, err := parseMaster(text)
	if err != nil {
		return nil, fmt.Errorf("the master key file %s: %w", file, err)
	}
	return m, nil
}

var errKeyText = errors.New("it must hold 32 bytes in base64 and nothing else; put the right file back from your backup")

// parseMaster reads the text of a key file: 32 bytes in base64, white space around it allowed. Errors never quote it.
func parseMaster(text []byte) (*master, error) {
	if len(text) > maxKeyFile {
		return nil, errKeyText
	}
	key, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keySize || bytes.Equal(key, make([]byte, keySize)) {
		return nil, errKeyText
	}
	wrapKey, err := expand(key, "clinicgate/master/wrap", keySize)
	if err != nil {
		return nil, err
	}
	id, err := expand(key, "clinicgate/master/id", 8)
	if err != nil {
		return nil, err
	}
	wrap, err := newBox(wrapKey, 1)
	if err != nil {
		return nil, err
	}
	return &master{id: hex.EncodeToString(id), wrap: wrap}, nil
}

// expand derives size bytes for one purpose (HKDF, RFC 5869, with SHA-256). No salt: the input is a uniformly random
// key (section 3.1); the purpose goes into info (section 3.2).
func expand(key []byte, purpose string, size int) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, key, nil, purpose, size)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return out, nil
}
