package core

import (
	"context"
	"sync/atomic"
	"time"

	"clinicgate/gateway/database"
)

// clock is the time of a node among several. Sessions, limits, codes and assertions of one
// node are judged at the others, so all of them go by the clock of the database that they
// share: a node whose own clock differs from it by more than clockSlack shifts its time.
// Below that the own clock, which runs evenly, is left alone.
type clock struct {
	own   func() time.Time
	shift atomic.Int64 // what is added to own, a time.Duration
	ahead atomic.Int64 // own less the database's, when it was measured last
}

const (
	clockSlack   = 2 * time.Second
	clockPeriod  = 10 * time.Second
	clockTimeout = 5 * time.Second
	clockTrip    = time.Second // a slower answer says too little about the time
)

// Now is the time at the node's own pace, moved to the database's if need be.
func (k *clock) Now() time.Time { return k.own().Add(time.Duration(k.shift.Load())) }

// wrong reports whether the own clock is not used as it is.
func (k *clock) wrong() bool { return k.shift.Load() != 0 }

// measure compares the clocks.
func (k *clock) measure(ctx context.Context, db *database.DB) error {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	var there, begun, ended time.Time
	err := db.Read(ctx, func(tx *database.Tx) (err error) {
		begun = k.own()
		there, err = tx.Clock(ctx)
		ended = k.own()
		return err
	})
	trip := ended.Sub(begun)
	if err != nil || trip > clockTrip {
		return err
	}
	ahead := begun.Add(trip / 2).Sub(there) // there has no monotonic reading: walls are compared
	k.ahead.Store(int64(ahead))
	left := ahead + time.Duration(k.shift.Load())
	switch {
	case ahead.Abs() <= clockSlack:
		k.shift.Store(0)
	case left.Abs() > clockSlack:
		k.shift.Store(int64(-ahead))
	}
	return nil
}

// keepClock compares the clocks again and again, and tells operators of a wrong one.
func (c *Core) keepClock(ctx context.Context) error {
	told := false
	for {
		err := c.clock.measure(ctx, c.DB.Registry()) // the feed's age tells of a registry that does not answer
		ahead := time.Duration(c.clock.ahead.Load()).Round(time.Millisecond).String()
		switch wrong := c.clock.wrong(); {
		case err != nil || wrong == told:
		case wrong:
			c.Log().Error("this machine's clock and the database's differ, and the database's is used: set both by NTP", "ahead", ahead)
			told = true
		default:
			c.Log().Warn("this machine's clock and the database's agree again", "ahead", ahead)
			told = false
		}
		if !sleep(ctx, clockPeriod) {
			return ctx.Err()
		}
	}
}
