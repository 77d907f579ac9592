package session

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

const (
	shardCount   = 256
	evictSamples = 8
)

// cache finds a Live by the digest of its token. A look-up takes the read lock of
// one of 256 shards. It is bounded: a full shard gives up the least recently seen
// of a few entries picked at random, which is safe because SQL is the truth.
type cache struct {
	perShard int
	evicted  atomic.Int64
	shards   [shardCount]shard
}

type shard struct {
	mu      sync.RWMutex
	entries map[digest]*Live
	_       [24]byte // one cache line each
}

func newCache(bound int) *cache {
	c := &cache{perShard: max(1, bound/shardCount)}
	for i := range c.shards {
		c.shards[i].entries = make(map[digest]*Live)
	}
	return c
}

// A digest is uniformly distributed and not of the client's choosing.
func (c *cache) shard(key *digest) *shard {
	return &c.shards[binary.LittleEndian.Uint16(key[:2])%shardCount]
}

func (c *cache) get(key *digest) *Live {
	s := c.shard(key)
	s.mu.RLock()
	l := s.entries[*key]
	s.mu.RUnlock()
	return l
}

// put stores l and returns what had to make room, or nil. The caller detaches it
// from its practice once it holds no lock of another one.
func (c *cache) put(l *Live) (victim *Live) {
	s := c.shard(&l.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[l.key] == nil && len(s.entries) >= c.perShard {
		victim = s.coldest()
		delete(s.entries, victim.key)
		c.evicted.Add(1)
	}
	s.entries[l.key] = l
	return victim
}

// remove takes l out, unless its place was given to another.
func (c *cache) remove(l *Live) {
	s := c.shard(&l.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[l.key] == l {
		delete(s.entries, l.key)
	}
}

// coldest samples a few entries: Go's map iteration starts at a random place.
func (s *shard) coldest() (victim *Live) {
	n := 0
	for _, l := range s.entries {
		if victim == nil || l.state.lastSeen.Load() < victim.state.lastSeen.Load() {
			victim = l
		}
		if n++; n == evictSamples {
			break
		}
	}
	return victim
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.entries)
		s.mu.RUnlock()
	}
	return n
}

// each calls visit for every entry, holding no lock meanwhile.
func (c *cache) each(visit func(*Live)) {
	var batch []*Live
	for i := range c.shards {
		s := &c.shards[i]
		batch = batch[:0]
		s.mu.RLock()
		for _, l := range s.entries {
			batch = append(batch, l)
		}
		s.mu.RUnlock()
		for _, l := range batch {
			visit(l)
		}
	}
	clear(batch)
}
