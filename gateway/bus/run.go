package bus

import (
	"context"
	"time"
)

// Run polls until ctx ends, and returns its error. A poll that fails is tried again, at growing intervals; meanwhile
// LastOK stands still. Run also prunes; any node may. It listens to the wire, if there is one.
func (f *Feed) Run(ctx context.Context) error {
	defer f.connect(ctx)()
	timer := time.NewTimer(0)
	defer timer.Stop()
	p := pace{interval: f.interval}
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.look:
			if !p.word && f.word.Load() > f.reached.Load() { // else a poll is coming, or came before it
				timer.Reset(p.heard(f.now()))
			}
			continue
		case <-timer.C:
		}
		found, err := f.pollOnce(ctx)
		found = found || f.word.Load() <= f.reached.Load() // the word was true: it was read by whoever published it here
		timer.Reset(p.polled(f.now(), found, err))
		if now := f.now(); err == nil && now.Sub(pruned) >= pruneEvery {
			pruned = now
			f.prune(ctx) // a failure is no harm: the next pruning takes the more
		}
	}
}

// pollOnce reports whether there was something new.
func (f *Feed) pollOnce(ctx context.Context) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.seen
	err = f.poll(ctx)
	return f.seen != before, err
}

func (f *Feed) prune(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	_ = prune(ctx, f.reg, f.now().Add(-keepFor))
}

// poll reads and delivers until it has reached the end of the feed; f.mu is held.
func (f *Feed) poll(ctx context.Context) error {
	for {
		start := f.now()
		changes, s, err := readAfter(ctx, f.reg, f.seen)
		if err != nil {
			return err
		}
		if s.last < f.seen || s.pruned > f.seen || (s.last > f.seen && len(changes) == 0) {
			// The registry is an older one, or rows are gone that this node has not seen.
			f.see(s.last)
			f.deliver(Change{Seq: s.last, At: start.UTC(), Kind: KindAll})
		} else {
			for _, c := range changes {
				f.deliver(c)
				f.see(c.Seq)
			}
		}
		if f.seen >= s.last {
			f.lastOK.Store(start.UnixMicro())
			return nil
		}
	}
}
