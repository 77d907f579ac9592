package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrFrozen says that the state folder is frozen: it can be read, and nothing of it changes any more. It also matches
// ErrUnavailable.
var ErrFrozen = errors.New("the state is frozen")

// Frozen is what the marker of a frozen state folder says.
type Frozen struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
	To string    `json:"to"` // where the state was moved
}

// maxMarker bounds the marker that is read, in bytes.
const maxMarker = 4 << 10

// FrozenState reads the marker of a state folder, nil when it is not frozen.
func FrozenState(dir string) (*Frozen, error) {
	text, err := os.ReadFile((&sqliteEngine{dir: dir}).freezer())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, unavailable("looking whether the state is frozen", err)
	}
	var f Frozen
	_ = json.Unmarshal(text[:min(len(text), maxMarker)], &f) // whatever it says, it is there
	return &f, nil
}

// Freeze refuses everything that writes, in this process and others, as ErrFrozen: when it returns nil, no transaction
// writes to any of the databases any more. Reading goes on. It is no error when the state is frozen already.
func (s *Set) Freeze(ctx context.Context, f Frozen) error {
	e, ok := s.engine.(*sqliteEngine)
	if !ok {
		return unavailable("freezing the state", errors.New("it is not in a state folder"))
	}
	if err := e.freeze(f); err != nil {
		return unavailable("freezing the state", err)
	}
	ids, err := s.Practices(ctx)
	if err != nil {
		return err
	}
	// Whoever has a lock from before goes on writing until it is given back. So each lock is taken once.
	nothing := func(*Tx) error { return nil }
	for i := -1; i < len(ids); i++ {
		write := s.registry.Write
		if i >= 0 {
			write = s.Practice(ids[i]).Write
		}
		if err := write(ctx, nothing); !errors.Is(err, ErrFrozen) && !errors.Is(err, ErrMissing) {
			return unavailable("freezing the state", errors.Join(err, errors.New("a database could not be waited for")))
		}
	}
	return nil
}

// Thaw undoes Freeze.
func (s *Set) Thaw() error {
	e, ok := s.engine.(*sqliteEngine)
	if !ok {
		return nil
	}
	if err := os.Remove(e.freezer()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return unavailable("thawing the state", err)
	}
	return outageOrNil("thawing the state", syncDir(e.dir))
}

// freezer is the marker.
func (e *sqliteEngine) freezer() string { return filepath.Join(e.dir, "frozen.json") }

func (e *sqliteEngine) freeze(f Frozen) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(e.freezer(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.Sync(), file.Close(), syncDir(e.dir))
}

// writable looks for the marker. What cannot be looked for may be there.
func (e *sqliteEngine) writable() error {
	_, err := os.Lstat(e.freezer())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil:
		err = fmt.Errorf("it was moved, see %s", e.freezer())
	}
	return &failure{doing: "writing", class: ErrFrozen, cause: err}
}
