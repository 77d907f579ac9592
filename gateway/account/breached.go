package account

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
)

// Breached is a list of passwords that are known to attackers. The nil
// *Breached is the empty list. It is safe for concurrent use.
type Breached struct {
	file   *os.File // sorted hashes, searched where they lie
	size   int64
	hashes [][8]byte // of a plain list: the first 8 bytes of each SHA-1, sorted
}

// Bounds of a list. A sorted file may be of any size, since only about forty
// lines of it are read at a time.
const (
	maxPlainList = 64 << 20 // bytes
	maxPlainLine = 1024
	maxHashLine  = 80
)

// OpenBreached opens a list in one of two forms: SHA-1 hashes in hexadecimal,
// sorted, one a line and each perhaps with ":count" after it (as haveibeenpwned
// publishes "ordered by hash"), which stays on disk; or passwords, one a line,
// at most 64 MiB, of which 8 bytes each are kept in memory.
func OpenBreached(name string) (*Breached, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the breached-password list: %v", err)
	}
	b, err := newBreached(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading the breached-password list %s: %v", name, err)
	}
	return b, nil
}

func newBreached(f *os.File) (*Breached, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := &Breached{file: f, size: info.Size()}
	first, _, err := b.lineAfter(0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, ok := hashOf(first); ok {
		return b, b.spotCheck()
	}
	if b.size > maxPlainList {
		return nil, fmt.Errorf("a plain list may have at most %d MiB; use one of sorted SHA-1 hashes", maxPlainList>>20)
	}
	b.hashes, err = readPlain(io.LimitReader(f, maxPlainList))
	b.file = nil
	return b, errors.Join(err, f.Close())
}

// Close closes the file.
func (b *Breached) Close() error {
	if b == nil || b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Contains reports whether password, or its lower-case form, is on the list.
func (b *Breached) Contains(password string) (bool, error) {
	if b == nil {
		return false, nil
	}
	for _, p := range []string{password, strings.ToLower(password)} {
		found, err := b.contains(sha1.Sum([]byte(p)))
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (b *Breached) contains(sum [sha1.Size]byte) (bool, error) {
	if b.file == nil {
		_, found := slices.BinarySearchFunc(b.hashes, [8]byte(sum[:8]), func(x, y [8]byte) int { return bytes.Compare(x[:], y[:]) })
		return found, nil
	}
	h, err := b.search(sum)
	return err == nil && h == sum, err
}

// search returns the first hash of the file that is not below sum, or the zero
// hash. It looks for the last offset after which lines are still below sum.
func (b *Breached) search(sum [sha1.Size]byte) (found [sha1.Size]byte, err error) {
	at := sort.Search(int(b.size), func(at int) bool {
		h, more, e := b.hashAfter(int64(at))
		err = errors.Join(err, e)
		return e != nil || !more || bytes.Compare(h[:], sum[:]) >= 0
	})
	if err != nil {
		return found, fmt.Errorf("reading the breached-password list: %v", err)
	}
	found, _, err = b.hashAfter(int64(at))
	return found, err
}

// spotCheck refuses a file that is not sorted at a few hundred places: in one
// that is not, a search would find nothing and say so.
func (b *Breached) spotCheck() error {
	var last [sha1.Size]byte
	for i := range int64(256) {
		h, more, err := b.hashAfter(b.size / 256 * i)
		if err != nil {
			return err
		}
		if more && bytes.Compare(h[:], last[:]) < 0 {
			return errors.New("the SHA-1 hashes are not sorted; sort the file first")
		}
		if more {
			last = h
		}
	}
	return nil
}

// hashAfter is the hash of the first line that begins at or after offset at;
// more is false when there is none.
func (b *Breached) hashAfter(at int64) (h [sha1.Size]byte, more bool, err error) {
	line, more, err := b.lineAfter(at)
	if errors.Is(err, io.EOF) || (err == nil && !more) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	h, ok := hashOf(line)
	if !ok {
		return h, false, fmt.Errorf("the line at byte %d or after it is not a SHA-1 hash", at)
	}
	return h, true, nil
}

// lineAfter is the first whole line that begins at or after offset at.
func (b *Breached) lineAfter(at int64) (line []byte, more bool, err error) {
	var buf [2*maxHashLine + 1]byte
	start := max(at-1, 0) // one earlier: a line may begin exactly at at
	n, err := b.file.ReadAt(buf[:], start)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	text := buf[:n]
	if at > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return nil, false, nil
		}
		text = text[i+1:]
	}
	line, _, _ = bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), len(text) > 0, nil
}

// hashOf reads "HASH" or "HASH:count".
func hashOf(line []byte) (h [sha1.Size]byte, ok bool) {
	text, count, counted := bytes.Cut(line, []byte(":"))
	if len(text) != 2*sha1.Size || (counted && len(bytes.Trim(count, "0123456789")) > 0) {
		return h, false
	}
	_, err := hex.Decode(h[:], text)
	return h, err == nil
}

// readPlain hashes each line.
func readPlain(r io.Reader) ([][8]byte, error) {
	var hashes [][8]byte
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), maxPlainLine)
	for s.Scan() {
		sum := sha1.Sum(bytes.TrimSuffix(s.Bytes(), []byte("\r")))
		hashes = append(hashes, [8]byte(sum[:8]))
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("after line %d: %v", len(hashes), err)
	}
	slices.SortFunc(hashes, func(x, y [8]byte) int { return bytes.Compare(x[:], y[:]) })
	return slices.Compact(hashes), nil
}
