package certstore

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"clinicgate/gateway/database"
)

// List returns what lies below a name, in order: the files and folders right below it, or all at any depth. An empty
// name is the top. fs.ErrNotExist when nothing lies there.
func (s *Store) List(ctx context.Context, name string, recursive bool) ([]string, error) {
	if name != "" || s == nil || s.reg == nil {
		if _, err := s.keys(ctx, name); err != nil {
			return nil, err
		}
	}
	files, err := s.below(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	var all []string
	for _, file := range files {
		at := 0
		if name != "" {
			at = len(name) + 1
		}
		for _, part := range strings.SplitAfter(file[at:], "/") {
			at += len(part)
			all = append(all, strings.TrimSuffix(file[:at], "/"))
			if !recursive {
				break
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// below returns the files below a name, at any depth.
func (s *Store) below(ctx context.Context, name string) (files []string, err error) {
	start, width := prefix(name)
	if name == "" {
		start, width = "", 0
	}
	err = s.reg.Read(ctx, func(tx *database.Tx) error {
		rows, err := tx.Query(ctx, `SELECT name FROM certificate_file WHERE substr(name, 1, $1) = $2`, width, start)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var file string
			if err := rows.Scan(&file); err != nil {
				return err
			}
			files = append(files, file)
		}
		return rows.Err()
	})
	return files, err
}
