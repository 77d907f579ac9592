//go:build !linux

package hashing

import (
	"errors"
	"os/exec"
)

// startNicely starts a process, with the gateway's own priority.
func startNicely(command *exec.Cmd) (lowered, err error) {
	return errors.ErrUnsupported, command.Start()
}
