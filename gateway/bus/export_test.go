package bus

import "context"

// Poll does now what Run does every 250 ms.
func (f *Feed) Poll(ctx context.Context) error { return f.pollOnce(ctx) }

// Prune does now what Run does every 10 minutes.
func (f *Feed) Prune(ctx context.Context) { f.prune(ctx) }
