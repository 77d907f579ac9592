package database_test

import (
	"errors"
	"os"
	"syscall"
)

var errNotRoot = errors.New("only root may mount")

// mountSmall puts an empty file system of the given size on dir.
func mountSmall(dir, size string) (unmount func() error, err error) {
	if os.Geteuid() != 0 {
		return nil, errNotRoot
	}
	err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)
	return func() error { return syscall.Unmount(dir, 0) }, err
}

// makeReadOnly makes a folder read-only until the returned function is called. Modes do not stop root, a mount does.
func makeReadOnly(dir string) (writable func(), err error) {
	if os.Geteuid() != 0 {
		return func() { _ = os.Chmod(dir, 0o700) }, os.Chmod(dir, 0o500)
	}
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		return nil, err
	}
	writable = func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }
	const readOnly = syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY
	if err := syscall.Mount("", dir, "", readOnly, ""); err != nil {
		writable()
		return nil, err
	}
	return writable, nil
}
