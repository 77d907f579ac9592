package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"clinicgate/config"
	"clinicgate/policy"
)

// version is a row of the table policy_version. Each one's hash covers all of it and the hash of the one before, so that
// no version can be altered, taken out or put in between without breaking every hash after it.
type version struct {
	Practice   policy.PracticeID
	Number     int64
	Generation int64
	Document   string // canonical JSON
	Author     Author
	At         int64 // UTC microseconds
	Previous   []byte
	Hash       []byte
}

const (
	versionLabel = "clinicgate/directory/version/1\n" // keeps these hashes apart from all other hashes of the product
	maxDocument  = 1 << 20                            // bytes of canonical JSON
)

// genesis is what the first version has in the place of the hash before.
var genesis = make([]byte, sha256.Size)

// digest is the hash of v. Every field has a fixed length or is preceded by it, so two different versions never have the
// same encoding.
func (v *version) digest() []byte {
	h := sha256.New()
	io.WriteString(h, versionLabel)
	text := func(s string) {
		writeInt(h, int64(len(s)))
		io.WriteString(h, s)
	}
	text(string(v.Practice))
	writeInt(h, v.Number)
	writeInt(h, v.Generation)
	writeInt(h, v.At)
	text(v.Author.Who)
	text(v.Author.Why)
	text(v.Document)
	text(string(v.Previous))
	return h.Sum(nil)
}

func writeInt(w io.Writer, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	w.Write(b[:])
}

// intact reports whether v is as it was written.
func (v *version) intact() bool { return len(v.Hash) == sha256.Size && bytes.Equal(v.Hash, v.digest()) }

// encodeDocument writes the canonical JSON: the fields in the order of the type, maps by key, no white space.
func encodeDocument(d policy.Document) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return "", fmt.Errorf("encoding the policy: %w", err)
	}
	if b.Len() > maxDocument {
		return "", fmt.Errorf("the policy has %d bytes, more than %d: shorten its lists", b.Len(), maxDocument)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// decodeDocument reads what encodeDocument wrote. A field that it does not know is an error: a newer version of the
// gateway may have meant it as a restriction.
func decodeDocument(s string) (policy.Document, error) {
	var doc policy.Document
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return policy.Document{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return policy.Document{}, errors.New("there is more than one document")
	}
	return doc, nil
}

// compile makes a stored document usable. One that an older version of the gateway wrote may lack fields that are needed
// today: they get the defaults that the same document would get from a file now.
func compile(v *version, platform policy.Platform) (*policy.Policy, error) {
	doc, err := decodeDocument(v.Document)
	if err != nil {
		return nil, err
	}
	compiled, err := policy.Compile(doc, platform)
	if err == nil {
		return compiled, nil
	}
	completed, decodeErr := config.DecodeDocument(fmt.Sprintf("%s version %d", v.Practice, v.Number), []byte(v.Document))
	if decodeErr != nil {
		return nil, err
	}
	return policy.Compile(completed, platform)
}
