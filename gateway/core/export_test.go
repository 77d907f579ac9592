package core

import "context"

// Tidy is one round of housekeeping.
func (c *Core) Tidy(ctx context.Context) error { return c.tidy(ctx) }
