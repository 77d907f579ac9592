//go:build !linux

package database_test

import (
	"errors"
	"os"
)

func mountSmall(string, string) (func() error, error) {
	return nil, errors.New("this system has no tmpfs")
}

func makeReadOnly(dir string) (writable func(), err error) {
	return func() { _ = os.Chmod(dir, 0o700) }, os.Chmod(dir, 0o500)
}
