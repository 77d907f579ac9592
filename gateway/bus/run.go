package bus

import (
	"context"
	"time"
)

// Run polls until ctx ends, and returns its error. A poll that fails is tried again, at growing intervals; meanwhile
// LastOK stands still. Run also prunes; any node may.
func (f *Feed) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := Interval
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if err := f.pollOnce(ctx); err != nil {
			pause = min(2*pause, maxBackOff)
		} else {
			pause = Interval
			if now := f.now(); now.Sub(pruned) >= pruneEvery {
				pruned = now
				f.prune(ctx) // a failure is no harm: the next pruning takes the more
			}
		}
		timer.Reset(pause)
	}
}

func (f *Feed) pollOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.poll(ctx)
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
			f.seen = s.last
			f.deliver(Change{Seq: s.last, At: start.UTC(), Kind: KindAll})
		} else {
			for _, c := range changes {
				f.deliver(c)
				f.seen = c.Seq
			}
		}
		if f.seen >= s.last {
			f.lastOK.Store(start.UnixMicro())
			return nil
		}
	}
}
