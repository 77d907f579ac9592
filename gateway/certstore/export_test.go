package certstore

import "context"

// Take takes over a lock that was seen with this owner and beat.
func (s *Store) Take(ctx context.Context, name, me, owner string, beat int64) (bool, error) {
	return s.take(ctx, name, me, sight{owner, beat})
}

// Die ends all that keeps the store's locks alive, as a node does that loses its power.
func (s *Store) Die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, holds := range s.held {
		for _, h := range holds {
			h.stop()
		}
	}
	s.held = nil
}
