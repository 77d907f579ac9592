package audit

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/policy"
)

// Bounds on what a flood of refusals can make of the log: per practice and window at
// most maxKinds rows and as many summaries, whatever the number of clients.
const (
	maxKinds = 64   // kinds of refusals kept apart in one practice and window
	maxFolds = 8192 // in all practices
	manyAddr = "many"
)

// addrKey is the part of an address by which repeats are folded: the whole IPv4 address,
// the first 64 bits of an IPv6 one. What is no address folds as the text it is.
func addrKey(addr string) string {
	ip, err := netip.ParseAddr(clip(addr, MaxKey))
	if err != nil {
		return clip(addr, MaxKey)
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return clip(addr, MaxKey)
	}
	return prefix.String()
}

// foldKey is a kind of refusal.
type foldKey struct {
	id     policy.PracticeID
	class  Class
	action string
	reason string
	addr   string
}

// fold is a window in which one kind of refusal was seen.
type fold struct {
	key         foldKey
	began, last time.Time
	repeats     int64  // after the first
	actor       string // "" when the repeats differ
	subject     string
}

// summary is the record of a window's repeats.
func (f *fold) summary() stamped {
	e := Event{
		Class: f.key.class, Action: f.key.action, Actor: f.actor, Subject: f.subject, Addr: f.key.addr,
		Detail: map[string]string{
			"repeats": strconv.FormatInt(f.repeats, 10),
			"since":   f.began.Format(time.RFC3339),
			"until":   f.last.Format(time.RFC3339),
		},
	}
	if f.key.reason != "" {
		e.Detail["reason"] = f.key.reason
	}
	clean, _ := e.clean() // cannot fail: Note has checked class and action
	return stamped{clean, f.last}
}

// folder keeps the windows.
type folder struct {
	mu      sync.Mutex
	closed  bool
	open    map[foldKey]*fold
	kinds   map[policy.PracticeID]int
	waiting atomic.Int64 // refusals in all queues
}

func newFolder() *folder {
	return &folder{open: make(map[foldKey]*fold), kinds: make(map[policy.PracticeID]int)}
}

type foldOutcome int8

const (
	foldNew    foldOutcome = iota // the first of its kind: to be written now
	foldRepeat                    // counted
	foldFull                      // no room to count it
)

// add sorts one refusal into its window. ended are windows that this one closes.
func (d *folder) add(key foldKey, e Event, now time.Time, window time.Duration) (outcome foldOutcome, ended []*fold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return foldFull, nil
	}
	if f := d.open[key]; f == nil && d.kinds[key.id] >= maxKinds {
		key.addr = manyAddr
	}
	f := d.open[key]
	if f != nil && now.Sub(f.began) >= window {
		ended = d.take(f, ended)
		f = nil
	}
	if f == nil {
		if len(d.open) >= maxFolds || d.kinds[key.id] >= 2*maxKinds {
			return foldFull, ended
		}
		d.open[key] = &fold{key: key, began: now, last: now, actor: cleanField(e.Actor), subject: cleanField(e.Subject)}
		d.kinds[key.id]++
		return foldNew, ended
	}
	f.repeats++
	f.last = now
	if f.actor != "" && f.actor != cleanField(e.Actor) {
		f.actor = ""
	}
	if f.subject != "" && f.subject != cleanField(e.Subject) {
		f.subject = ""
	}
	return foldRepeat, ended
}

// take removes a window and adds it to ended when it has something to say.
func (d *folder) take(f *fold, ended []*fold) []*fold {
	delete(d.open, f.key)
	if d.kinds[f.key.id]--; d.kinds[f.key.id] <= 0 {
		delete(d.kinds, f.key.id)
	}
	if f.repeats > 0 {
		ended = append(ended, f)
	}
	return ended
}

// due takes the windows that have ended.
func (d *folder) due(now time.Time, window time.Duration) (ended []*fold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.open {
		if now.Sub(f.began) >= window {
			ended = d.take(f, ended)
		}
	}
	return ended
}

// all takes every window.
func (d *folder) all() (ended []*fold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.open {
		ended = d.take(f, ended)
	}
	return ended
}

// close takes every window and opens none any more.
func (d *folder) close() []*fold {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	return d.all()
}

func (d *folder) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}
