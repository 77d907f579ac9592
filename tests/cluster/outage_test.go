package cluster_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"clinicgate/tests/probe"
)

// PostgreSQL is away. Who is signed in works on; sign-ins and changes are told to come back, none is
// acknowledged and lost; all goes on when it is there again.
func TestPostgresFaults(t *testing.T) {
	for _, row := range []struct {
		name       string
		begin, end func(*testing.T, *postgres)
		lasts      time.Duration
	}{
		{"stopped", func(_ *testing.T, p *postgres) { p.stop() }, func(t *testing.T, p *postgres) { p.start(t) }, 6 * time.Second},
		{"restarted", func(t *testing.T, p *postgres) { p.stop(); p.start(t) }, nil, 0},
		{"paused", func(t *testing.T, p *postgres) { p.pause(t) }, func(_ *testing.T, p *postgres) { p.resume() }, 5 * time.Second},
		{"paused for long", func(t *testing.T, p *postgres) { p.pause(t) }, func(_ *testing.T, p *postgres) { p.resume() }, 20 * time.Second},
		{"connections cut", func(t *testing.T, p *postgres) {
			for range 10 {
				p.cut(t)
				time.Sleep(300 * time.Millisecond)
			}
		}, nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := running(t)
			l := work(t, c)
			row.begin(t, c.postgres)
			if row.end != nil {
				began := time.Now()
				time.Sleep(row.lasts)
				l.alive()
				row.end(t, c.postgres)
				t.Logf("away for %s", time.Since(began).Round(100*time.Millisecond))
			}
			back := time.Now()
			l.goesOn(wait)
			t.Logf("everything works again after %s", time.Since(back).Round(100*time.Millisecond))
			l.endsWithin(2 * within)
			l.alive()
			l.finish()
			if l.requests.told > 0 || l.requests.pause > within {
				t.Errorf("signed-in people noticed: %s", &l.requests)
			}
		})
	}
}

// Word of changes by Redis does not reach B. It looks for itself.
func TestBusIsPartitionedFromOneNode(t *testing.T) {
	for name, part := range map[string]func(*link){"cut": (*link).sever, "silent": (*link).silence} {
		t.Run(name, func(t *testing.T) {
			c := running(t)
			l := work(t, c)
			t.Cleanup(c.nodes[1].redis.mend)
			part(c.nodes[1].redis)
			for range 3 {
				l.endsWithin(within)
			}
			l.goesOn(wait)
			c.nodes[1].redis.mend()
			eventually(t, wait, "B hears of changes by Redis", func() error { return wants(c.nodes[1], "clinicgate_feed_listening", "1") })
			l.goesOn(wait)
			l.alive()
			l.finish()
			if l.requests.told+l.signIns.told > 0 {
				t.Error("people noticed")
			}
		})
	}
}

// B vanishes while it writes to a practice's database. Who writes there next waits until the
// transaction is taken from B, and is served.
func TestNodeVanishesWhileItWrites(t *testing.T) {
	c := running(t)
	db := c.postgres.open("clinic_west")
	defer db.Close()
	for round := range 3 {
		who := c.person(t, west)
		client, p := probe.Client(t, c.direct[1], ""), c.direct[1].Practice(west)
		t.Cleanup(c.nodes[1].database.mend)
		const held = `SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.locktype = 'advisory' AND l.granted AND a.usename = 'clinicgate' AND a.state = 'idle in transaction'
			AND l.database = (SELECT oid FROM pg_database WHERE datname = 'clinic_west'))`
		ended := make(chan struct{})
		go func() { // sign-ins, until one is caught between two statements
			defer close(ended)
			for range 200 {
				if _, err := signInAt(client, p, who); err != nil {
					return
				}
			}
		}()
		eventually(t, wait, "B holds the writer's lock", func() error {
			c.nodes[1].database.silence()
			var caught bool
			if err := db.QueryRow(held).Scan(&caught); err != nil || caught {
				return err
			}
			c.nodes[1].database.mend()
			return errors.New("it does not")
		})
		began := time.Now()
		c.command(t, "", "session", "revoke", "--practice", west, "--user", who.Email)
		t.Logf("round %d: the other writer waited for %s", round, time.Since(began).Round(100*time.Millisecond))
		c.nodes[1].database.mend()
		client.CloseIdleConnections()
		<-ended
	}
	becomes(t, wait, c.direct[1], west, "/.gate/login", "", http.StatusOK)
	c.verified(t)
}

// B reaches neither Redis nor PostgreSQL: it cannot know what A revokes. It serves on for as long as
// the practice's outage_grace says, and then says that it cannot decide. Nobody is logged out.
func TestNodeIsPartitionedFromTheDatabase(t *testing.T) {
	c := running(t)
	l := work(t, c)
	who, stays := c.person(t, west), c.person(t, west)
	session, kept := signedIn(t, c.direct[0], west, who), signedIn(t, c.direct[0], west, stays)
	for _, s := range []string{session, kept} {
		becomes(t, wait, c.direct[1], west, "/api/echo", s, http.StatusOK)
	}
	for _, link := range []*link{c.nodes[1].database, c.nodes[1].redis} {
		t.Cleanup(link.mend)
		link.silence()
	}
	c.command(t, "", "session", "revoke", "--practice", west, "--user", who.Email)
	for _, s := range []string{session, kept} {
		becomes(t, 3*time.Second, c.direct[1], west, "/api/echo", s, http.StatusServiceUnavailable)
	}
	if got := ask(t, c.direct[0], west, "/api/echo", kept); got != http.StatusOK {
		t.Errorf("at A it answers %d", got)
	}
	if got := ask(t, c.direct[1], north, "/api/echo", l.session); got != http.StatusOK {
		t.Errorf("within the outage_grace of its practice B answers %d", got)
	}
	for _, link := range []*link{c.nodes[1].database, c.nodes[1].redis} {
		link.mend()
	}
	becomes(t, wait, c.direct[1], west, "/api/echo", kept, http.StatusOK)
	becomes(t, within, c.direct[1], west, "/api/echo", session, http.StatusUnauthorized)
	l.goesOn(wait)
	l.alive()
	l.finish()
}
