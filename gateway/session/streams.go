package session

import (
	"hash/maphash"
	"sync"
	"time"

	"clinicgate/policy"
)

const streamShards = 64

// Streams knows every open exchange of this node (request, WebSocket, event stream,
// download) by the session it was opened with, so that what ends the session ends the
// exchange (THREATS Z3). A stream does not hold the idle limit back: who only watches
// is idle.
//
// Most exchanges are over before anybody could end their session, and to index each
// of them would cost more than it is worth. So they are entered into a list, which
// allocates nothing, and indexed when somebody looks for one of them.
type Streams struct {
	now    func() time.Time
	verify func(policy.PracticeID, ID)
	seed   maphash.Seed
	shards [streamShards]streamShard
}

type streamShard struct {
	mu        sync.Mutex
	open      int                                    // streams in fresh and practices
	fresh     *Stream                                // not indexed yet; the newest first
	practices map[policy.PracticeID]*practiceStreams // the index
	next      time.Time                              // no stream of this shard is due before; zero: none is
}

type practiceStreams struct {
	sessions map[ID]map[*Stream]struct{}
	users    map[string]map[ID]int // how many streams of each session
}

// Stream is the place of one open exchange in the registry. It is a part of what
// represents the exchange, enters with Streams.Open and must not be copied or used
// for another.
type Stream struct {
	key        StreamKey
	holder     Holder
	place      place
	next, prev *Stream // in streamShard.fresh
}

// place is where a Stream is. Under the shard's lock.
type place uint8

const (
	outside place = iota // not entered, over or cut
	fresh
	indexed
)

// Holder is the exchange behind a stream.
type Holder interface {
	// Allowed reports whether the exchange would be let pass if it began now. It is
	// called under a lock: it must not block and must not use the registry.
	Allowed() bool
	// Cut ends the exchange. It is called at most once, under no lock, from any
	// goroutine, and must not block.
	Cut()
}

// StreamKey says whose a stream is and how long it may last. It is made by
// Live.StreamKey or AnonymousStream; a stream with another key is cut at once.
type StreamKey struct {
	Practice  policy.PracticeID
	Session   ID
	User      string
	Until     time.Time // zero: no limit, for an anonymous stream only
	live      *Live
	anonymous bool
}

// AnonymousStream is the key of a stream on a public path, where nobody is signed in:
// only what concerns the whole practice cuts it.
func AnonymousStream(p policy.PracticeID) StreamKey {
	return StreamKey{Practice: p, anonymous: p != ""}
}

// valid reports whether the key was made as it should be, and not changed since.
func (k *StreamKey) valid() bool {
	if k.anonymous {
		return k.live == nil && k.Session == ID{} && k.User == ""
	}
	return k.live != nil && k.Practice == k.live.Practice() && k.Session == k.live.ID()
}

// StreamKey is the key of a stream that this session opens: it may last until the
// absolute limit of the session at the latest.
func (l *Live) StreamKey(p Practice) StreamKey {
	s := l.state
	return StreamKey{
		Practice: s.cell.id, Session: s.id, User: s.owner.id,
		Until: fromMicro(s.created).Add(p.Absolute), live: l,
	}
}

func newStreams(now func() time.Time, verify func(policy.PracticeID, ID)) *Streams {
	s := &Streams{now: now, verify: verify, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].practices = make(map[policy.PracticeID]*practiceStreams)
	}
	return s
}

func (s *Streams) shard(p policy.PracticeID) *streamShard {
	return &s.shards[maphash.String(s.seed, string(p))%streamShards]
}

// Open enters a stream. What ends its session, or what makes it something that would
// not be allowed now, cuts it, perhaps before Open returns. Close is to be called when
// the exchange is over by itself; both may be.
//
// There is no gap between a decision and Open through which a stream outlives what the
// decision rested on: the stream is entered first and session and policy are examined
// afterwards, so a change either finds the stream or is found here. A session that is
// no longer cached, where endings mark it, is examined in SQL.
func (s *Streams) Open(st *Stream, key StreamKey, holder Holder) {
	st.key, st.holder = key, holder
	if !key.valid() {
		holder.Cut()
		return
	}
	s.add(st)
	live := key.live
	if live != nil && (live.Ended() || !s.now().Before(key.Until)) || !holder.Allowed() {
		if s.Close(st) {
			holder.Cut()
		}
		return
	}
	if live != nil && live.check(detached|staleSession|stalePerson) {
		s.verify(key.Practice, key.Session)
	}
}

// Close takes a stream out of the registry, and reports whether it was there still.
func (s *Streams) Close(st *Stream) bool {
	sh := s.shard(st.key.Practice)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.take(st)
}

func (s *Streams) add(st *Stream) {
	sh := s.shard(st.key.Practice)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st.place, st.next = fresh, sh.fresh
	if st.next != nil {
		st.next.prev = st
	}
	sh.fresh = st
	sh.open++
	sh.due(st.key.Until)
}

// due notes that a stream ends at that time. Under the lock.
func (sh *streamShard) due(at time.Time) {
	if !at.IsZero() && (sh.next.IsZero() || at.Before(sh.next)) {
		sh.next = at
	}
}

// settle indexes what was entered since the last time. Under the lock, by whoever is
// about to look something up.
func (sh *streamShard) settle() {
	for st := sh.fresh; st != nil; {
		next := st.next
		st.place, st.next, st.prev = indexed, nil, nil
		p := sh.practices[st.key.Practice]
		if p == nil {
			p = &practiceStreams{sessions: make(map[ID]map[*Stream]struct{}), users: make(map[string]map[ID]int)}
			sh.practices[st.key.Practice] = p
		}
		p.add(st)
		st = next
	}
	sh.fresh = nil
}

func (p *practiceStreams) add(st *Stream) {
	if p.sessions[st.key.Session] == nil {
		p.sessions[st.key.Session] = make(map[*Stream]struct{})
	}
	p.sessions[st.key.Session][st] = struct{}{}
	if p.users[st.key.User] == nil {
		p.users[st.key.User] = make(map[ID]int)
	}
	p.users[st.key.User][st.key.Session]++
}

// take removes a stream, and reports whether it was there. Under the lock.
func (sh *streamShard) take(st *Stream) bool {
	switch st.place {
	case fresh:
		if st.prev != nil {
			st.prev.next = st.next
		} else {
			sh.fresh = st.next
		}
		if st.next != nil {
			st.next.prev = st.prev
		}
		st.next, st.prev = nil, nil
	case indexed:
		if p := sh.practices[st.key.Practice]; p.remove(st) {
			delete(sh.practices, st.key.Practice)
		}
	default:
		return false
	}
	st.place = outside
	sh.open--
	return true
}

// remove takes a stream out with what it leaves empty, and reports whether nothing is
// left.
func (p *practiceStreams) remove(st *Stream) bool {
	set, ids := p.sessions[st.key.Session], p.users[st.key.User]
	if delete(set, st); len(set) == 0 {
		delete(p.sessions, st.key.Session)
	}
	if ids[st.key.Session]--; ids[st.key.Session] == 0 {
		delete(ids, st.key.Session)
	}
	if len(ids) == 0 {
		delete(p.users, st.key.User)
	}
	return len(p.sessions) == 0
}

// Count returns how many streams are open.
func (s *Streams) Count() (n int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += sh.open
		sh.mu.Unlock()
	}
	return n
}
