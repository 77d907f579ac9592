package core

import (
	goredis "github.com/redis/go-redis/v9"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/redis"
)

// openRedis prepares the connection to Redis, if there is one, and has the feed use
// it. It does no network I/O: a gateway starts without its Redis.
func openRedis(o *redis.Options, feed *bus.Feed) (*goredis.Client, error) {
	if o == nil {
		return nil, nil
	}
	client, err := redis.Connect(*o)
	if err != nil {
		return nil, err
	}
	feed.Over(bus.NewRedis(client))
	return client, nil
}

// redisAlarm tells operators when Redis begins to fail, and when it answers again.
func (c *Core) redisAlarm(err error) {
	if err != nil {
		c.Log().Error("sign-in budgets are counted by this node alone", "reason", err)
		return
	}
	c.Log().Warn("sign-in budgets are counted by all nodes again")
}
