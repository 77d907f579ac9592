package core

import (
	"context"
	"time"
)

// Tidy is one round of housekeeping.
func (c *Core) Tidy(ctx context.Context) error { return c.tidy(ctx) }

// Leases are a node's, which renews every few milliseconds.
type Leases struct{ l *leases }

func NewLeases(c *Core) Leases {
	l := newLeases(c.DB.Registry(), c.Now)
	l.renew = 5 * time.Millisecond
	return Leases{l}
}

// Once is what background jobs are done by.
func (l Leases) Once(ctx context.Context, name string, period time.Duration, job func(context.Context) error) (bool, error) {
	return l.l.once(ctx, name, period, job)
}

// Vanish takes a lease as a node does that dies the moment after.
func (l Leases) Vanish(ctx context.Context, name string) (bool, error) { return l.l.take(ctx, name, 0) }
