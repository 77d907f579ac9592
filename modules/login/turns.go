package login

import (
	"hash/maphash"
	"sync"
)

// turns let requests that carry the same sign-in in progress go one after the other. A
// form that is sent twice then finds the sign-in finished and is led on, instead of
// being told that the code, which its twin has just used, is wrong
// (TestCodeFormSentTwice). That a code works once does not rest on it: the database
// sees to that, on all nodes (THREATS F1).
type turns [64]sync.Mutex

var turnSeed = maphash.MakeSeed()

// take waits for the turn of a flow cookie and returns how to give it back. Others wait
// too now and then, for the few milliseconds of one check.
func (t *turns) take(flow string) (done func()) {
	if flow == "" {
		return func() {}
	}
	turn := &t[maphash.String(turnSeed, flow)%uint64(len(t))]
	turn.Lock()
	return turn.Unlock
}
