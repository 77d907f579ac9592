package audit

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/policy"
)

// Bounds on what a flood of refusals can make of the log. Whoever floods spends only a
// budget of their own: all of a practice's strangers share one, and each signed-in
// person has one, so that nobody can push out what is recorded of others.
const (
	maxKinds       = 64      // kinds of refusals kept apart among a practice's strangers
	maxPersonKinds = 16      // and of one person
	maxFolds       = 8192    // of strangers, in all practices
	maxPersonFolds = 1 << 16 // of people, in all practices
	many           = "many"  // stands for addresses and accounts that are not kept apart any more

	maxWindow    = 10 * time.Minute // to which the window of what goes on and on grows
	reportWindow = time.Hour        // "would be stopped" is everyday business: one record a person and hour
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

// foldKey is a kind of refusal. Two people's are never the same kind, nor are a refusal
// and a report of what would have been one.
type foldKey struct {
	id      policy.PracticeID
	class   Class
	action  string
	reason  string
	stage   string
	actor   string
	account string
	addr    string
}

func keyOf(id policy.PracticeID, e Event) foldKey {
	return foldKey{
		id: id, class: e.Class, action: clip(e.Action, MaxKey), reason: clip(e.Detail["reason"], MaxKey),
		stage: clip(e.Detail["stage"], MaxKey), actor: clip(e.Actor, MaxKey),
		account: clip(e.Detail["account"], MaxKey), addr: addrKey(e.Addr),
	}
}

// window is how long the first window of the kind is.
func (k foldKey) window(base time.Duration) time.Duration {
	if k.stage == "report" {
		return max(base, reportWindow)
	}
	return base
}

// payer is whose budget a kind takes from: a person's, or that of all strangers ("").
type payer struct {
	id    policy.PracticeID
	actor string
}

func (k foldKey) payer() payer { return payer{k.id, k.actor} }

func (p payer) kinds() int {
	if p.actor == "" {
		return maxKinds
	}
	return maxPersonKinds
}

// fold is a window in which one kind of refusal was seen. When there were repeats, the
// next window follows, four times as long.
type fold struct {
	key         foldKey
	window      time.Duration
	began, last time.Time
	repeats     int64  // not recorded yet
	subject     string // "" when they differ
	path        string // of the first that the summary counts, as an example
	request     string // its request id
}

// count adds a repeat.
func (f *fold) count(e Event, now time.Time) {
	if f.repeats == 0 {
		f.path, f.request = Clean(withhold("path", e.Detail["path"])), cleanField(e.Request)
	}
	f.repeats++
	f.last = now
	if f.subject != "" && f.subject != cleanField(e.Subject) {
		f.subject = ""
	}
}

// next begins the following window.
func (f *fold) next(now time.Time) {
	f.began, f.last, f.repeats = now, now, 0
	f.window = max(f.window, min(4*f.window, maxWindow))
}

// summary is the record of a window's repeats.
func (f *fold) summary() stamped {
	k := f.key
	e := Event{
		Class: k.class, Action: cleanField(k.action), Actor: cleanField(k.actor), Subject: f.subject, Addr: cleanField(k.addr), Request: f.request,
		Detail: map[string]string{
			"repeats": strconv.FormatInt(f.repeats, 10),
			"since":   f.began.Format(time.RFC3339),
			"until":   f.last.Format(time.RFC3339),
		},
	}
	for key, value := range map[string]string{
		"reason": cleanField(k.reason), "stage": cleanField(k.stage), "account": cleanField(k.account), "path": f.path,
	} {
		if value != "" {
			e.Detail[key] = value
		}
	}
	return stamped{e, f.last}
}

// folder keeps the windows.
type folder struct {
	mu      sync.Mutex
	closed  bool
	open    map[foldKey]*fold
	kinds   map[payer]int
	people  int          // open windows of people; the others are strangers'
	waiting atomic.Int64 // refusals in all queues
}

func newFolder() *folder {
	return &folder{open: make(map[foldKey]*fold), kinds: make(map[payer]int)}
}

type foldOutcome int8

const (
	foldNew    foldOutcome = iota // the first of its kind: to be written now
	foldRepeat                    // counted
	foldFull                      // no room to count it
)

// add sorts one refusal into its window. ended are windows that end by it.
func (d *folder) add(key foldKey, e Event, now time.Time, base time.Duration) (outcome foldOutcome, ended []*fold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return foldFull, nil
	}
	if d.open[key] == nil && d.kinds[key.payer()] >= key.payer().kinds() {
		key.addr = many
		if key.account != "" {
			key.account = many
		}
	}
	f := d.open[key]
	if f != nil && now.Sub(f.began) >= f.window {
		if ended = d.turn(f, now, ended); d.open[key] == nil {
			f = nil
		}
	}
	if f != nil {
		f.count(e, now)
		return foldRepeat, ended
	}
	if d.full(key.payer()) {
		return foldFull, ended
	}
	d.open[key] = &fold{key: key, window: key.window(base), began: now, last: now, subject: cleanField(e.Subject)}
	d.kinds[key.payer()]++
	if key.actor != "" {
		d.people++
	}
	return foldNew, ended
}

func (d *folder) full(p payer) bool {
	if d.kinds[p] >= 2*p.kinds() {
		return true
	}
	if p.actor != "" {
		return d.people >= maxPersonFolds
	}
	return len(d.open)-d.people >= maxFolds
}

// turn ends a window: with repeats the next one follows, without it is forgotten.
func (d *folder) turn(f *fold, now time.Time, ended []*fold) []*fold {
	if f.repeats == 0 {
		d.drop(f)
		return ended
	}
	was := *f
	f.next(now)
	return append(ended, &was)
}

func (d *folder) drop(f *fold) {
	delete(d.open, f.key)
	p := f.key.payer()
	if d.kinds[p]--; d.kinds[p] <= 0 {
		delete(d.kinds, p)
	}
	if p.actor != "" {
		d.people--
	}
}

// due turns the windows that have ended.
func (d *folder) due(now time.Time) (ended []*fold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.open {
		if now.Sub(f.began) >= f.window {
			ended = d.turn(f, now, ended)
		}
	}
	return ended
}

// all ends every window.
func (d *folder) all() (ended []*fold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.open {
		if f.repeats > 0 {
			ended = append(ended, f)
		}
		d.drop(f)
	}
	return ended
}

// close ends every window and opens none any more.
func (d *folder) close() []*fold {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	return d.all()
}

// forget drops a practice's windows unwritten.
func (d *folder) forget(id policy.PracticeID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.open {
		if f.key.id == id {
			d.drop(f)
		}
	}
}

func (d *folder) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}
