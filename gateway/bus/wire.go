package bus

import (
	"context"
	"sync"
	"time"
)

// Wire carries word of a change between nodes, faster than they poll. It may lose, repeat and invent what it carries:
// the feed takes from it that it is time to look, and no more. Nothing waits for it.
type Wire interface {
	// Announce says that the feed has reached seq.
	Announce(ctx context.Context, seq int64) error
	// Listen calls ready when it has begun to hear others and heard for each word, until ctx ends or it fails.
	Listen(ctx context.Context, ready func(), heard func(seq int64)) error
}

// hurry is the shortest time between two polls, whatever the wire says.
const hurry = 20 * time.Millisecond

// Over lets the feed hear and tell others by w. Call it before Run, which does both. Without it, or while it fails,
// changes travel by polling alone.
func (f *Feed) Over(w Wire) { f.wire = w }

// Listening reports whether the wire is up.
func (f *Feed) Listening() bool { return f.listening.Load() }

// connect runs the wire until ctx ends, and returns what waits for its end.
func (f *Feed) connect(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	if f.wire != nil {
		running.Go(func() { f.speak(ctx) })
		running.Go(func() { f.listen(ctx) })
	}
	return running.Wait
}

// announce has the wire tell the others. It does not wait, and of several announcements the last is enough.
func (f *Feed) announce(seq int64) {
	for said := f.said.Load(); said < seq && !f.said.CompareAndSwap(said, seq); said = f.said.Load() {
	}
	nudge(f.say)
}

func (f *Feed) speak(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.say:
			_ = f.wire.Announce(ctx, f.said.Load()) // lost: the others poll
		}
	}
}

// listen keeps listening, at growing intervals while that fails.
func (f *Feed) listen(ctx context.Context) {
	pause := Interval
	for ctx.Err() == nil {
		_ = f.wire.Listen(ctx, func() { f.listening.Store(true) }, f.heard)
		if f.listening.Swap(false) {
			pause = Interval
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxBackOff)
	}
}

// heard has the feed look, unless this node knows of seq: it hears its own voice too.
func (f *Feed) heard(seq int64) {
	if seq > f.reached.Load() {
		f.word.Store(seq)
		nudge(f.look)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pace says when to poll: once each Interval, less often while that fails, and sooner when the wire has brought word.
// Word that was true lets the next be followed after hurry; word that was not, or that comes while polling fails,
// brings nothing sooner than without a wire. A flood of it costs one poll more for each Interval.
type pace struct {
	interval time.Duration
	pause    time.Duration // the present one
	early    time.Time     // no poll before
	word     bool          // something was heard since the last poll
}

// heard returns how long to wait from now.
func (p *pace) heard(now time.Time) time.Duration {
	p.word = true
	return p.early.Sub(now)
}

// polled takes the result of a poll and returns how long to wait for the next.
func (p *pace) polled(now time.Time, found bool, err error) time.Duration {
	if err != nil {
		p.pause = min(2*max(p.pause, p.interval), max(maxBackOff, p.interval))
	} else {
		p.pause = p.interval
	}
	p.early = now.Add(p.pause)
	if err == nil && (found || !p.word) {
		p.early = now.Add(hurry)
	}
	p.word = false
	return p.pause
}
