// Package directory knows the practices: their hosts, their policy in every version, and whether they are served. The
// registry database is the truth; every request is answered from an immutable index in memory.
package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

var (
	// ErrUnknown: there is no such practice, or no such version.
	ErrUnknown = errors.New("unknown practice")

	// ErrConflict: the policy is no longer the version that the change was based on.
	ErrConflict = errors.New("the policy was changed in the meantime")
)

// Publisher tells all nodes of a change. *bus.Feed is one.
type Publisher interface {
	PublishTx(ctx context.Context, tx *database.Tx, c bus.Change) (after func(), err error)
}

// Directory is the practices of one platform. Look-ups take no lock and allocate nothing. Make it with [Open].
type Directory struct {
	reg  *database.DB
	feed Publisher
	now  func() time.Time

	onChange []func(policy.PracticeID)
	onRetire []func(policy.PracticeID)

	index atomic.Pointer[index] // never nil after Open

	// mu orders the changes of the index. It is never taken inside a transaction, and look-ups never wait for it.
	mu        sync.Mutex
	platform  policy.Platform
	revisions map[policy.PracticeID]int64 // the newest revision seen of each practice, removed ones too
	stale     map[policy.PracticeID]int64 // known to have changed and not read yet, with the number of the mark
	marks     int64
}

// Option changes a default of Open.
type Option func(*Directory)

// Clock is where the times of versions come from; without it, time.Now.
func Clock(now func() time.Time) Option { return func(d *Directory) { d.now = now } }

// Open reads all practices. One whose stored policy cannot be used does not stop the others: see [Practice.Broken] and
// [Directory.Problems]. The platform must not be changed afterwards.
func Open(ctx context.Context, reg *database.DB, feed Publisher, platform policy.Platform, options ...Option) (*Directory, error) {
	d := &Directory{
		reg: reg, feed: feed, now: time.Now, platform: platform,
		revisions: make(map[policy.PracticeID]int64), stale: make(map[policy.PracticeID]int64),
	}
	for _, option := range options {
		option(d)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.rebuild(ctx); err != nil {
		return nil, fmt.Errorf("reading the practices: %w", err)
	}
	return d, nil
}

// ByHost returns the practice that has exactly this host, in lower case and without a port; nil is none. There is no
// default practice and no folding: whoever asks brings the host into its one spelling first (THREATS T2).
func (d *Directory) ByHost(host string) *Practice { return d.index.Load().byHost.get(host) }

// ByID returns a practice; nil when there is none or it was removed.
func (d *Directory) ByID(id policy.PracticeID) *Practice { return d.index.Load().byID.get(string(id)) }

// All returns the practices ordered by id. The slice is shared: do not write to it.
func (d *Directory) All() []*Practice { return d.index.Load().all }

// Problem is a practice that cannot be served.
type Problem struct {
	Practice policy.PracticeID `json:"practice"`
	Version  int64             `json:"version"`
	Reason   string            `json:"reason"` // for operators
}

// Problems are the practices that cannot be served; each one is an alarm.
func (d *Directory) Problems() []Problem { return problemsOf(d.All()) }

func problemsOf(practices []*Practice) []Problem {
	var problems []Problem
	for _, p := range practices {
		if p.Broken != "" {
			problems = append(problems, Problem{p.ID, p.Version, p.Broken})
		}
	}
	return problems
}
