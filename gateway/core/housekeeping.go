package core

import (
	"context"
	"errors"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// housekeeping bounds the time one practice may take, and how often the round is made
// and looked after.
const (
	houseRound   = 24 * time.Hour
	houseLook    = time.Minute
	housePause   = 50 * time.Millisecond
	houseTimeout = 5 * time.Minute
)

// keepHouse has a round over all practices made once a day, by one of the nodes, which
// removes what is past its time: audit events beyond the retention. It opens one practice
// after the other, with a pause between, so that requests do not feel it.
func (c *Core) keepHouse(ctx context.Context) error {
	jobs := newLeases(c.DB.Registry(), c.Now)
	for sleep(ctx, houseLook) {
		_, err := jobs.once(ctx, "housekeeping", houseRound, c.tidy)
		if err != nil && ctx.Err() == nil && !errors.Is(err, database.ErrFrozen) {
			c.Log().Error("housekeeping was not done", "reason", err)
		}
	}
	return ctx.Err()
}

// tidy makes one round. A practice that fails is left for the next round and does not
// keep the others waiting.
func (c *Core) tidy(ctx context.Context) error {
	for _, p := range c.Directory.All() {
		if err := c.prune(ctx, p.ID); err != nil && ctx.Err() == nil {
			c.Log().Error("old records could not be removed", "practice", p.ID, "reason", err)
		}
		if !sleep(ctx, housePause) {
			return ctx.Err()
		}
	}
	return nil
}

// prune removes a practice's audit events that are older than the retention.
func (c *Core) prune(ctx context.Context, id policy.PracticeID) error {
	keep := time.Duration(c.retention.Load())
	if keep <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, houseTimeout)
	defer cancel()
	_, err := c.Audit.Prune(ctx, id, c.Now().Add(-keep))
	return err
}

// How often signing keys are read again, in case news of a rotation was lost, and how
// old the current one gets before a node makes the next.
const (
	keysPeriod = time.Minute
	keysAge    = 30 * 24 * time.Hour
)

// keepKeys keeps the signing keys known and young. The node goes on with the keys it
// has when the registry cannot be asked.
func (c *Core) keepKeys(ctx context.Context) error {
	for sleep(ctx, keysPeriod) {
		signing := c.Vault.Signing()
		if err := errors.Join(signing.RotateIfOlder(ctx, keysAge), signing.Reload(ctx)); err != nil && ctx.Err() == nil {
			c.Log().Error("signing keys could not be read", "reason", err)
		}
	}
	return ctx.Err()
}

// sleep waits and reports whether the context is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
