package bus

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Redis is a Wire over publish and subscribe.
type Redis struct {
	client  *goredis.Client
	channel string
}

// NewRedis does no I/O.
func NewRedis(client *goredis.Client) *Redis {
	// Channels are common to all databases of a server, so the name tells installations apart.
	return &Redis{client, "clinicgate:changes:" + strconv.Itoa(client.Options().DB)}
}

// silence is how long nothing may be heard before the server is asked whether it is there.
const silence = 2 * time.Second

// Announce publishes the number.
func (r *Redis) Announce(ctx context.Context, seq int64) error {
	return r.client.Publish(ctx, r.channel, seq).Err()
}

// Listen subscribes. A server that answers nothing for twice silence has failed.
func (r *Redis) Listen(ctx context.Context, ready func(), heard func(seq int64)) error {
	sub := r.client.Subscribe(ctx, r.channel)
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	defer sub.Close()
	asked := false
	for {
		got, err := sub.ReceiveTimeout(ctx, silence)
		if err != nil {
			var late net.Error
			if asked || !errors.As(err, &late) || !late.Timeout() {
				return err
			}
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			asked = true
			continue
		}
		asked = false
		switch m := got.(type) {
		case *goredis.Subscription:
			ready()
		case *goredis.Message:
			if seq, err := strconv.ParseInt(m.Payload, 10, 64); err == nil {
				heard(seq)
			}
		}
	}
}

var _ Wire = (*Redis)(nil)
