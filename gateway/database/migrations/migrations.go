// Package migrations holds the schema of the registry and of a practice's database as goose files.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed registry practice
var files embed.FS

// Registry returns the migrations of the one registry database.
func Registry() fs.FS { return sub("registry") }

// Practice returns the migrations that every practice's own database has.
func Practice() fs.FS { return sub("practice") }

// sub cannot fail: its argument is one of the two folders embedded above.
func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err)
	}
	return f
}
