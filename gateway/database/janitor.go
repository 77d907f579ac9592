package database

import (
	"context"
	"time"
)

// janitorInterval is how soon a database that another process removed or replaced is let go of.
const janitorInterval = time.Second

// startJanitor runs sweep until Close.
func (s *Set) startJanitor() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		defer close(s.done)
		tick := time.NewTicker(janitorInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.sweep()
			}
		}
	}()
}

// sweep closes the databases that have been idle for too long, and those whose file is no longer the one it was when
// it was opened.
func (s *Set) sweep() {
	var shut, open []*handle
	limit := s.now().Add(-s.idleFor)
	s.mu.Lock()
	for e := s.idle.Front(); e != nil; e = s.idle.Front() {
		h := e.Value.(*handle)
		if h.since.After(limit) {
			break
		}
		s.doom(h)
		shut = append(shut, h)
	}
	for _, h := range s.handles {
		open = append(open, h)
	}
	s.mu.Unlock()
	for _, h := range open {
		if s.staleNow(h) {
			shut = append(shut, h)
		}
	}
	for _, h := range shut {
		s.shut(h)
		s.wake()
	}
}

// staleNow dooms the handle if its file has changed hands, and says whether the caller is to close it.
func (s *Set) staleNow(h *handle) bool {
	select {
	case <-h.ready:
	default:
		return false
	}
	if h.err != nil || h.store.opened.stale() == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.doomed {
		return false
	}
	s.doom(h)
	return h.refs == 0
}
