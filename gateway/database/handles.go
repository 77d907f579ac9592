package database

import (
	"container/list"
	"context"
	"errors"
	"time"

	"clinicgate/policy"
)

// A handle is a practice's open database with the number of transactions that use it. The Set's lock guards the
// bookkeeping only: opening, migrating and closing happen outside it, so that a slow disk under one practice does not
// stop the others.
type handle struct {
	id     policy.PracticeID
	refs   int
	ready  chan struct{} // closed once store or err is set
	store  *store
	err    error
	opened bool          // store is set; only an opened handle is ever in the idle list
	doomed bool          // taken out of the map: close when the last user is done
	gone   chan struct{} // closed once it is closed
	since  time.Time     // idle since, while it is in the idle list
	elem   *list.Element
}

// idleList holds the handles nobody uses, the longest unused in front.
type idleList struct{ list.List }

func (l *idleList) add(h *handle)    { h.elem = l.PushBack(h) }
func (l *idleList) remove(h *handle) { l.Remove(h.elem); h.elem = nil }

var (
	errClosed = errors.New("the databases are closed")
	errFull   = errors.New("too many practices are in use at once")
)

// acquire returns the practice's open database; the caller must release it.
func (s *Set) acquire(ctx context.Context, id policy.PracticeID) (*handle, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, unavailable("opening a practice's database", errClosed)
	}
	if s.leaving[id] {
		s.mu.Unlock()
		return nil, ErrMissing
	}
	h, found := s.handles[id]
	if !found {
		h = &handle{id: id, ready: make(chan struct{}), gone: make(chan struct{})}
		s.handles[id] = h
		go s.fill(context.WithoutCancel(ctx), h)
	}
	if h.elem != nil {
		s.idle.remove(h)
	}
	h.refs++
	s.mu.Unlock()

	select {
	case <-h.ready:
	default:
		select {
		case <-h.ready:
		case <-ctx.Done():
			s.release(h)
			return nil, unavailable("opening the database of practice "+string(id), ctx.Err())
		}
	}
	if h.err != nil {
		s.release(h)
		return nil, h.err
	}
	return h, nil
}

// fill opens the handle's database for everybody who waits for it. It is not bound to the first caller's context: that
// caller giving up must not fail the others.
func (s *Set) fill(ctx context.Context, h *handle) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	defer close(h.ready)
	t, err := s.target(h.id)
	if err == nil {
		err = s.slot(ctx)
	}
	if err != nil {
		s.fail(h, err, false)
		return
	}
	if h.store, err = s.openGuarded(ctx, t); err != nil {
		s.fail(h, err, true)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h.opened = true
	if h.refs == 0 && !h.doomed { // everybody who asked has given up
		s.rest(h)
	}
}

// openGuarded opens a practice's database if it is the right one.
func (s *Set) openGuarded(ctx context.Context, t target) (*store, error) {
	st, err := openStore(ctx, s.engine, t, s.engine.readers())
	if err != nil || s.guard == nil {
		return st, err
	}
	if err := s.guard(ctx, t.practice, st.target.generation); err != nil {
		st.close()
		return nil, outage("opening the "+t.String(), err)
	}
	return st, nil
}

// rest puts a handle that nobody uses into the idle list; s.mu is held.
func (s *Set) rest(h *handle) {
	h.since = s.now()
	s.idle.add(h)
	s.wake()
}

// fail takes a handle that did not open out of the map, so that the next caller tries again.
func (s *Set) fail(h *handle, err error, hasSlot bool) {
	h.err = err
	s.mu.Lock()
	h.doomed = true
	if s.handles[h.id] == h {
		delete(s.handles, h.id)
	}
	if hasSlot {
		<-s.slots
	}
	s.mu.Unlock()
	s.wake()
}

// slot takes one of the MaxOpen places, closing the longest unused database when all are taken.
func (s *Set) slot(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, queueTimeout, errFull)
	defer cancel()
	for {
		select {
		case s.slots <- struct{}{}:
			return nil
		default:
		}
		if h := s.evict(); h != nil {
			s.shut(h)
			s.wake()
			continue
		}
		select {
		case s.slots <- struct{}{}:
			return nil
		case <-s.freed:
		case <-ctx.Done():
			return unavailable("opening a practice's database", context.Cause(ctx))
		}
	}
}

// evict takes the longest unused handle out of the map, nil when all are in use.
func (s *Set) evict() *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	front := s.idle.Front()
	if front == nil {
		return nil
	}
	h := front.Value.(*handle)
	s.doom(h)
	return h
}

// doom takes the handle out of the bookkeeping; s.mu is held. Who calls it closes the handle if it is unused, else the
// last user does.
func (s *Set) doom(h *handle) {
	if h.elem != nil {
		s.idle.remove(h)
	}
	h.doomed = true
	if s.handles[h.id] == h {
		delete(s.handles, h.id)
	}
}

// forget has a handle that the caller uses closed by its last user, so that the next caller opens anew.
func (s *Set) forget(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !h.doomed {
		s.doom(h)
	}
}

// release ends one use of the handle.
func (s *Set) release(h *handle) {
	s.mu.Lock()
	h.refs--
	last := h.refs == 0
	if last && !h.doomed && h.opened {
		s.rest(h)
	}
	shut := last && h.doomed
	s.mu.Unlock()
	if shut {
		s.shut(h)
		s.wake()
	}
}

// shut closes a doomed handle that nobody uses and gives its place back.
func (s *Set) shut(h *handle) {
	<-h.ready
	if h.err == nil {
		h.store.close()
		<-s.slots
	}
	close(h.gone)
}

// wake lets one of those who wait for a place look again.
func (s *Set) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// retire closes this process's handle of a practice and waits until it is closed.
func (s *Set) retire(ctx context.Context, id policy.PracticeID) error {
	s.mu.Lock()
	h, found := s.handles[id]
	if !found {
		s.mu.Unlock()
		return nil
	}
	s.doom(h)
	unused := h.refs == 0
	s.mu.Unlock()
	if unused {
		s.shut(h)
		s.wake()
	}
	select {
	case <-h.gone:
		return nil
	case <-ctx.Done():
		return unavailable("closing the database of practice "+string(id), ctx.Err())
	}
}

// closeHandles is the end of Close.
func (s *Set) closeHandles() error {
	s.mu.Lock()
	ids := make([]policy.PracticeID, 0, len(s.handles))
	for id := range s.handles {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	var failures []error
	for _, id := range ids {
		failures = append(failures, s.retire(ctx, id))
	}
	return errors.Join(failures...)
}
