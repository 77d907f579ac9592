package limit

import (
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
)

// NewMemoryStore lets tests look at the store itself.
func NewMemoryStore(now func() time.Time, capacity int) limiter.Store {
	return newMemoryStore(now, capacity)
}

// KeysHeld is the number of keys a memory store holds after tidying up.
func KeysHeld(s limiter.Store) int {
	c := s.(*memoryStore).cache
	c.CleanUp()
	return c.EstimatedSize()
}

// Redis is the client that l counts with.
func Redis(l *Limiter) *goredis.Client { return l.shared.client }
