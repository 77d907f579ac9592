package bus

import (
	"context"
	"time"
)

// Pace lets tests play a feed's loop.
type Pace struct{ pace }

// NewPace polls each Interval.
func NewPace() *Pace { return &Pace{pace{interval: Interval}} }

// SetInterval sets the time between two polls of a feed that does not run yet.
func (f *Feed) SetInterval(d time.Duration) { f.interval = d }

// Heard returns how long to wait after word from the wire.
func (p *Pace) Heard(now time.Time) time.Duration { return p.heard(now) }

// Polled returns how long to wait after a poll.
func (p *Pace) Polled(now time.Time, found bool, err error) time.Duration {
	return p.polled(now, found, err)
}

// Poll does now what Run does every 250 ms.
func (f *Feed) Poll(ctx context.Context) error {
	_, err := f.pollOnce(ctx)
	return err
}

// Prune does now what Run does every 10 minutes.
func (f *Feed) Prune(ctx context.Context) { f.prune(ctx) }
