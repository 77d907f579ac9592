package database

import (
	"context"
	"io/fs"
)

// OpenWith opens a Set with other migrations than the embedded ones.
func OpenWith(ctx context.Context, o Options, registry, practice fs.FS) (*Set, error) {
	return open(ctx, o, registry, practice)
}

// Sweep does now what the janitor does every second.
func (s *Set) Sweep() { s.sweep() }

// Dir is the state folder.
func (s *Set) Dir() string { return s.engine.(*sqliteEngine).dir }
