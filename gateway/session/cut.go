package session

import (
	"time"

	"clinicgate/policy"
)

// CutSession cuts the streams of one session and returns how many.
func (s *Streams) CutSession(p policy.PracticeID, id ID) int {
	if id == (ID{}) {
		return 0
	}
	return s.cut(p, func(ps *practiceStreams) (out []*Stream) {
		return collect(out, ps.sessions[id])
	})
}

// CutUser cuts the streams of a person. It ends no session.
func (s *Streams) CutUser(p policy.PracticeID, user string) int {
	if user == "" {
		return 0
	}
	return s.cut(p, func(ps *practiceStreams) (out []*Stream) {
		for id := range ps.users[user] {
			out = collect(out, ps.sessions[id])
		}
		return out
	})
}

// CutPractice cuts all streams of a practice: it was suspended. It ends no session;
// a suspended practice is refused before any is looked at.
func (s *Streams) CutPractice(p policy.PracticeID) int {
	return s.cut(p, func(ps *practiceStreams) (out []*Stream) {
		for _, set := range ps.sessions {
			out = collect(out, set)
		}
		return out
	})
}

// Review asks of every open stream of a practice whether it would be allowed now, and
// cuts those that would not: the practice's policy has changed.
func (s *Streams) Review(p policy.PracticeID) int {
	return s.cut(p, func(ps *practiceStreams) (out []*Stream) {
		for _, set := range ps.sessions {
			for st := range set {
				if !st.holder.Allowed() {
					out = append(out, st)
				}
			}
		}
		return out
	})
}

// CutOverdue cuts streams whose Until has passed. Run calls it every second; it
// looks only at shards in which one can be due.
func (s *Streams) CutOverdue() (n int) {
	now := s.now()
	for i := range s.shards {
		n += end(s.overdue(&s.shards[i], now))
	}
	return n
}

func (s *Streams) overdue(sh *streamShard, now time.Time) (out []*Stream) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.next.IsZero() || now.Before(sh.next) {
		return nil
	}
	sh.settle()
	sh.next = time.Time{}
	for _, ps := range sh.practices {
		for _, set := range ps.sessions {
			for st := range set {
				if until := st.key.Until; until.IsZero() || now.Before(until) {
					sh.due(until)
				} else {
					out = append(out, st)
				}
			}
		}
	}
	for _, st := range out {
		sh.take(st)
	}
	return out
}

// cut takes what choose names out of the registry, and then, outside the lock,
// ends it.
func (s *Streams) cut(p policy.PracticeID, choose func(*practiceStreams) []*Stream) int {
	sh := s.shard(p)
	sh.mu.Lock()
	sh.settle()
	var chosen []*Stream
	if ps := sh.practices[p]; ps != nil {
		chosen = choose(ps)
		for _, st := range chosen {
			sh.take(st)
		}
	}
	sh.mu.Unlock()
	return end(chosen)
}

func collect(out []*Stream, set map[*Stream]struct{}) []*Stream {
	for st := range set {
		out = append(out, st)
	}
	return out
}

func end(all []*Stream) int {
	for _, st := range all {
		st.holder.Cut()
	}
	return len(all)
}

// sessions returns the sessions of a practice that have open streams.
func (s *Streams) sessions(p policy.PracticeID) (ids []ID) {
	sh := s.shard(p)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.settle()
	if ps := sh.practices[p]; ps != nil {
		for id := range ps.sessions {
			if id != (ID{}) { // anonymous streams have no session to ask about
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// sessionsOf returns the sessions of a person that have open streams.
func (s *Streams) sessionsOf(p policy.PracticeID, user string) (ids []ID) {
	sh := s.shard(p)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.settle()
	if ps := sh.practices[p]; ps != nil {
		for id := range ps.users[user] {
			ids = append(ids, id)
		}
	}
	return ids
}

// practices returns the practices that have open streams.
func (s *Streams) practices() (out []policy.PracticeID) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.settle()
		for p := range sh.practices {
			out = append(out, p)
		}
		sh.mu.Unlock()
	}
	return out
}
