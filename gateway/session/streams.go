package session

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/policy"
)

const streamShards = 64

// Streams knows every open long-lived exchange of this node (WebSocket, event
// stream, download) by the session it was opened with, so that what ends the
// session ends the stream (THREATS Z3). A stream does not hold the idle limit back:
// who only watches is idle.
type Streams struct {
	now    func() time.Time
	verify func(policy.PracticeID, ID)
	seed   maphash.Seed
	count  atomic.Int64
	shards [streamShards]streamShard
}

type streamShard struct {
	mu        sync.Mutex
	practices map[policy.PracticeID]*practiceStreams
	next      time.Time // no stream of this shard is due before; zero: none is
}

type practiceStreams struct {
	sessions map[ID]map[*stream]struct{}
	users    map[string]map[ID]int // how many streams of each session
}

type stream struct {
	key  StreamKey
	cut  func()
	once sync.Once
}

// end calls cut once, whoever comes first. It is called under no lock.
func (s *stream) end() { s.once.Do(s.cut) }

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

// AnonymousStream is the key of a stream on a public path: only the end of the
// practice cuts it.
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

// Register enters an open stream. cut is called at most once, from another
// goroutine or before Register returns, when the session ends; it must not block.
// done is to be called when the stream is over by itself; both may be.
//
// There is no gap between a look-up and Register through which a stream outlives
// its session: the stream is entered first and the session examined afterwards, so
// an ending either finds the stream or is found here. A session that is no longer
// cached, where endings mark it, is examined in SQL.
func (s *Streams) Register(key StreamKey, cut func()) (done func()) {
	st := &stream{key: key, cut: cut}
	if !key.valid() {
		st.end()
		return func() {}
	}
	s.add(st)
	if key.anonymous {
		return func() { s.remove(st) }
	}
	if key.live.Ended() || !s.now().Before(key.Until) {
		s.remove(st)
		st.end()
		return func() {}
	}
	if key.live.check(detached | staleSession | stalePerson) {
		s.verify(key.Practice, key.Session)
	}
	return func() { s.remove(st) }
}

func (s *Streams) add(st *stream) {
	sh := s.shard(st.key.Practice)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	p := sh.practices[st.key.Practice]
	if p == nil {
		p = &practiceStreams{sessions: make(map[ID]map[*stream]struct{}), users: make(map[string]map[ID]int)}
		sh.practices[st.key.Practice] = p
	}
	p.add(st)
	sh.due(st.key.Until)
	s.count.Add(1)
}

// due notes that a stream ends at that time. Under the lock.
func (sh *streamShard) due(at time.Time) {
	if !at.IsZero() && (sh.next.IsZero() || at.Before(sh.next)) {
		sh.next = at
	}
}

func (p *practiceStreams) add(st *stream) {
	if p.sessions[st.key.Session] == nil {
		p.sessions[st.key.Session] = make(map[*stream]struct{})
	}
	p.sessions[st.key.Session][st] = struct{}{}
	if p.users[st.key.User] == nil {
		p.users[st.key.User] = make(map[ID]int)
	}
	p.users[st.key.User][st.key.Session]++
}

func (s *Streams) remove(st *stream) {
	sh := s.shard(st.key.Practice)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.take(sh, st)
}

// take removes a stream and what it leaves empty. Under the shard's lock.
func (s *Streams) take(sh *streamShard, st *stream) {
	p := sh.practices[st.key.Practice]
	if p == nil {
		return
	}
	set := p.sessions[st.key.Session]
	if _, there := set[st]; !there {
		return
	}
	s.count.Add(-1)
	delete(set, st)
	ids := p.users[st.key.User]
	if ids[st.key.Session]--; ids[st.key.Session] == 0 {
		delete(ids, st.key.Session)
	}
	if len(ids) == 0 {
		delete(p.users, st.key.User)
	}
	if len(set) == 0 {
		delete(p.sessions, st.key.Session)
	}
	if len(p.sessions) == 0 {
		delete(sh.practices, st.key.Practice)
	}
}

// Count returns how many streams are open.
func (s *Streams) Count() int { return int(s.count.Load()) }
