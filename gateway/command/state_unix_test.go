//go:build unix

package command_test

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"clinicgate/gateway/command"
)

// ownedBy is a folder of somebody's.
type ownedBy struct {
	fs.FileInfo
	uid uint32
}

func (o ownedBy) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

// What root writes into the state, the gateway's own user could not read.
func TestOnlyTheOwnerOfTheStateWorksOnIt(t *testing.T) {
	me := uint32(os.Geteuid())
	if err := command.CheckOwner("/state", ownedBy{uid: me}); err != nil {
		t.Errorf("as its owner: %v", err)
	}
	err := command.CheckOwner("/state", ownedBy{uid: me + 54321})
	if err == nil || !strings.Contains(err.Error(), "the state folder /state belongs to ") || !strings.Contains(err.Error(), "sudo -u ") {
		t.Errorf("as somebody else: %v", err)
	}
}
