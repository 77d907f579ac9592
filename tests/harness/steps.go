package harness

import (
	"sync"
	"time"
)

// steps hands out TOTP time steps, each once per secret.
type steps struct {
	mu   sync.Mutex
	used map[string]int64
}

func newSteps() *steps { return &steps{used: map[string]int64{}} }

// next is the earliest unused step that the gateway takes now: the current one or the
// one after it. If both are used it waits until the clock has moved on.
func (s *steps) next(secret string) int64 {
	for {
		if step, ok := s.take(secret); ok {
			return step
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (s *steps) take(secret string) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Unix() / 30
	step := max(now, s.used[secret]+1)
	if step > now+1 {
		return 0, false
	}
	s.used[secret] = step
	return step, true
}
