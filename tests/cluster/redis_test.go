package cluster_test

import (
	"net/http"
	"testing"
	"time"

	"clinicgate/tests/probe"
)

// Redis may lose everything and be gone: nobody notices. Sign-ins go on, what is revoked ends
// within the second, and limits hold.
func TestRedisFaults(t *testing.T) {
	for _, row := range []struct {
		name       string
		begin, end func(*testing.T, *cluster)
	}{
		{"stopped", func(_ *testing.T, c *cluster) { c.redis.Kill() }, func(t *testing.T, c *cluster) { c.redis.Restart(t) }},
		{"restarted", func(t *testing.T, c *cluster) { c.redis.Restart(t) }, nil},
		{"paused", func(t *testing.T, c *cluster) { c.redis.Pause(t) }, func(t *testing.T, c *cluster) { c.redis.Resume(t) }},
		{"flushed", func(t *testing.T, c *cluster) { c.redis.Do(t, "FLUSHALL") }, nil},
		{"read-only", func(t *testing.T, c *cluster) { c.redis.Do(t, "REPLICAOF", "127.0.0.1", "1") },
			func(t *testing.T, c *cluster) { c.redis.Do(t, "REPLICAOF", "NO", "ONE") }},
		{"full", func(t *testing.T, c *cluster) {
			c.redis.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
			c.redis.Do(t, "CONFIG", "SET", "maxmemory", "1")
		}, func(t *testing.T, c *cluster) { c.redis.Do(t, "CONFIG", "SET", "maxmemory", "0") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := running(t)
			l := work(t, c)
			guessed := c.person(t, north)
			row.begin(t, c)
			began := time.Now()
			l.endsWithin(within)
			if looked := c.guesses(t, guessed, 14); looked > 2*5 {
				t.Errorf("%d wrong passwords were looked at, want 10 at most", looked)
			}
			l.goesOn(wait)
			if row.end != nil {
				for _, n := range c.nodes {
					eventually(t, wait, "the alarm of "+n.name, func() error { return wants(n, "clinicgate_limits_failing", "1") })
				}
				time.Sleep(5*time.Second - time.Since(began)) // the fault lasts
				l.endsWithin(within)
				row.end(t, c)
			}
			for _, n := range c.nodes {
				eventually(t, wait, n.name+" has Redis again", func() error { return wants(n, "clinicgate_limits_failing", "0") })
			}
			l.goesOn(wait)
			l.alive()
			l.finish()
			for name, w := range map[string]*worker{"requests": &l.requests, "sign-ins": &l.signIns, "changes": &l.changes} {
				if w.told > 0 {
					t.Errorf("%s: %d were told to come back", name, w.told)
				}
			}
		})
	}
}

// endsWithin revokes a session: both nodes refuse it, and its streams are cut.
func (l *load) endsWithin(limit time.Duration) {
	l.t.Helper()
	who := l.c.person(l.t, north)
	session := signedIn(l.t, l.c.direct[0], north, who)
	var streams []*probe.Stream
	for _, g := range l.c.direct {
		becomes(l.t, wait, g, north, "/api/echo", session, http.StatusOK)
		streams = append(streams, probe.Streams(l.t, g, g.Practice(north), session)...)
	}
	l.c.command(l.t, "", "session", "revoke", "--practice", north, "--user", who.Email)
	began := time.Now()
	for _, g := range l.c.direct {
		becomes(l.t, limit-time.Since(began), g, north, "/api/echo", session, http.StatusUnauthorized)
	}
	for _, s := range streams {
		s.CutWithin(l.t, limit-time.Since(began))
	}
}
