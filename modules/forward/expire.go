package forward

import (
	"context"
	"sync"
	"time"

	"clinicgate/gateway/session"
)

// prepared remembers which sessions hold a prepared identity, oldest first, so that
// the two kilobytes are given back when a session falls silent: a cached session that
// nobody uses costs what the session cache says and no more (DESIGN section 9). Its
// lock is taken once per session and half-life, not per request.
type prepared struct {
	mu    sync.Mutex
	queue []holder
}

type holder struct {
	view *session.View
	id   *identity
}

// add notes that view holds id. Identities are made in the order of their time.
func (p *prepared) add(view *session.View, id *identity) {
	p.mu.Lock()
	p.queue = append(p.queue, holder{view, id})
	p.mu.Unlock()
}

// run clears expired identities until ctx ends.
func (p *prepared) run(ctx context.Context, now func() time.Time) {
	ticker := time.NewTicker(assertionLife / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.clear(now())
		}
	}
}

// clear takes the expired ones out, and out of their views unless a newer one is there.
func (p *prepared) clear(now time.Time) {
	for _, h := range p.expired(now) {
		if session.Prepared[identity](h.view) == h.id {
			session.Prepare[identity](h.view, nil)
		}
	}
}

func (p *prepared) expired(now time.Time) []holder {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.queue) && now.After(p.queue[n].id.renewAt) {
		n++
	}
	expired := p.queue[:n:n]
	p.queue = append([]holder(nil), p.queue[n:]...)
	return expired
}
