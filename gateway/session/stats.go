package session

import "sync/atomic"

type counters struct {
	misses, unknown, unavailable, mismatches atomic.Int64
	invented                                 atomic.Int64
	created, raised, ended, revoked, expired atomic.Int64
	flushed, unpublished                     atomic.Int64
}

// Stats are figures for metrics. All but Cached and Streams only grow.
type Stats struct {
	Cached      int   // tokens in memory
	Streams     int   // open exchanges
	Misses      int64 // look-ups that asked SQL
	Unknown     int64 // of these: no such session
	Invented    int64 // tokens that no gateway made, refused without SQL
	Unavailable int64 // look-ups that could not be answered
	Mismatches  int64 // records that were not what was asked for: raise an alarm (THREATS T6)
	Created     int64
	Raised      int64
	Ended       int64 // by this node's callers
	Revoked     int64 // found ended by others
	Expired     int64 // rows deleted after their limit
	Flushed     int64 // times last seen was written
	Evicted     int64 // tokens that had to make room
	Unpublished int64 // changes that other nodes could not be told of at once
}

// Stats returns the figures of this moment. It counts the cache: seldom, please.
func (m *Manager) Stats() Stats {
	s := &m.stats
	return Stats{
		Cached: m.cache.len(), Streams: m.streams.Count(),
		Misses: s.misses.Load(), Unknown: s.unknown.Load(), Invented: s.invented.Load(),
		Unavailable: s.unavailable.Load(), Mismatches: s.mismatches.Load(),
		Created: s.created.Load(), Raised: s.raised.Load(), Ended: s.ended.Load(),
		Revoked: s.revoked.Load(), Expired: s.expired.Load(), Flushed: s.flushed.Load(),
		Evicted: m.cache.evicted.Load(), Unpublished: s.unpublished.Load(),
	}
}
