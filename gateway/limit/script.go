package limit

import (
	"context"
	"errors"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// accountScript does to an account in Redis, in one atomic step, what
// Backoff's methods do to one in memory, after joining it with what the node
// knows. All times are remaining milliseconds, so that no clock has to agree
// with another. A key that lost its end (an operator's PERSIST, a restored
// dump) is given one, or it would never heal.
var accountScript = goredis.NewScript(`
local op, forget, free, first, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local successes, tries, steps, gate, ttl = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local kept = redis.call('HMGET', KEYS[1], 'successes', 'tries', 'steps')
local k = tonumber(kept[1])
if k and k >= successes then
	local closed = redis.call('PTTL', KEYS[2])
	if closed == -1 then closed = longest end
	if k > successes then
		successes, tries, steps, gate, ttl = k, 0, 0, 0, 0
	end
	tries = math.max(tries, tonumber(kept[2]) or 0)
	steps = math.max(steps, tonumber(kept[3]) or 0)
	gate = math.max(gate, closed, 0)
	ttl = math.max(ttl, redis.call('PTTL', KEYS[1]))
end
if ttl <= 0 or ttl > forget then ttl = forget end

local wait = 0
if op == 'take' then
	if tries < free then
		tries = tries + 1
	elseif gate > 0 then
		wait = gate
	else
		gate = math.min(first * 2 ^ math.min(steps, 40), longest)
		steps = steps + 1
	end
elseif op == 'succeeded' then
	successes, tries, steps, gate, ttl = successes + 1, 0, 0, 0, forget
elseif steps > 0 then
	steps, gate = steps - 1, 0
else
	tries = math.max(tries - 1, 0)
end

redis.call('HSET', KEYS[1], 'successes', successes, 'tries', tries, 'steps', steps)
redis.call('PEXPIRE', KEYS[1], ttl)
if gate > 0 then
	redis.call('SET', KEYS[2], '', 'PX', gate)
else
	redis.call('DEL', KEYS[2])
end
return {wait, successes, tries, steps, gate, ttl}
`)

// The operations of accountScript.
const (
	opTake      = "take"
	opSucceeded = "succeeded"
	opGiveBack  = "give back"
)

var errReply = errors.New("redis answered with something else than an account")

// runAccount runs the script with what the node knows, and returns the account
// as it then is, and how long to wait if it refuses.
func runAccount(ctx context.Context, c goredis.Scripter, op, key string, b Backoff, known account, now func() int64) (account, time.Duration, error) {
	asked := now()
	left := func(at int64) int64 { return max(time.Duration(at-asked).Milliseconds(), 0) }
	got, err := accountScript.Run(ctx, c, []string{prefix + ":" + key, prefix + ":gate:" + key},
		op, b.Forget.Milliseconds(), b.Free-1, b.First.Milliseconds(), b.Max.Milliseconds(),
		known.successes, known.tries, known.steps, left(known.opens), left(known.ends)).Int64Slice()
	if err != nil {
		return account{}, 0, err
	}
	if len(got) != 6 {
		return account{}, 0, errReply
	}
	answered := now() // rather late than early: the node's gate must not open before the one in Redis
	after := func(ms int64) int64 { return answered + int64(time.Duration(ms)*time.Millisecond) }
	return account{
		successes: got[1], tries: got[2], steps: got[3], opens: after(got[4]), ends: after(got[5]),
	}, time.Duration(got[0]) * time.Millisecond, nil
}

// giveBackScript takes n from a counter that is there, down to zero: giving
// back to a window that has ended must not be credit for the next. It also
// gives an end to a key that lost its own; every refusal gives back, so a
// counter stuck at its limit heals.
var giveBackScript = goredis.NewScript(`
local count = tonumber(redis.call('GET', KEYS[1]) or 0)
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if count > 0 then
	redis.call('DECRBY', KEYS[1], math.min(count, tonumber(ARGV[1])))
end
return count
`)

// scripts lets the library's store run its scripts without asking Redis for
// their names first: its constructor would need Redis, wait for it without
// bound, and refuse without it.
type scripts struct {
	*goredis.Client
	source map[string]string // by SHA-1; written by the constructor only
}

func newScripts(c *goredis.Client) *scripts { return &scripts{c, map[string]string{}} }

// ScriptLoad notes the script and does no I/O.
func (s *scripts) ScriptLoad(ctx context.Context, source string) *goredis.StringCmd {
	sha := goredis.NewScript(source).Hash()
	if _, known := s.source[sha]; !known {
		s.source[sha] = source
	}
	cmd := goredis.NewStringCmd(ctx)
	cmd.SetVal(sha)
	return cmd
}

// EvalSha runs the script by name, and sends it whole to a Redis that does not
// know it.
func (s *scripts) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *goredis.Cmd {
	cmd := s.Client.EvalSha(ctx, sha, keys, args...)
	if err := cmd.Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		return s.Client.Eval(ctx, s.source[sha], keys, args...)
	}
	return cmd
}
