//go:build unix

package command

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// checkOwner refuses to work as another user than the owner of the state folder. Root
// could, but the databases it makes would be closed to the gateway's own user.
func checkOwner(folder string, info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	owner := strconv.FormatUint(uint64(stat.Uid), 10)
	sudo := "'#" + owner + "'"
	if u, err := user.LookupId(owner); err == nil {
		owner, sudo = u.Username, u.Username
	}
	return refuse("the state folder %s belongs to %s: run this command as that user (sudo -u %s gateway …)", folder, owner, sudo)
}
