package cluster_test

import (
	"net/http"
	"testing"
	"time"
)

// Nothing fails: the load itself is sound.
func TestNothingFails(t *testing.T) {
	c := running(t)
	l := work(t, c)
	time.Sleep(2 * time.Second)
	l.alive()
	l.finish()
}

// The power of one node fails. People whose connection it had are served by the other one.
func TestNodeIsKilled(t *testing.T) {
	c := running(t)
	l := work(t, c)
	l.broken = true
	for i, n := range c.nodes {
		n.kill()
		l.goesOn(10 * time.Second)
		if i == 0 { // the first half of the streams is A's
			for _, s := range l.streams[len(l.streams)/2:] {
				s.Alive(t)
			}
		}
		n.start(t)
		l.goesOn(wait)
	}
	l.finish()
}

// Each node is stopped and started, one after the other, as for a new version.
func TestRollingRestart(t *testing.T) {
	c := running(t)
	l := work(t, c)
	l.broken = true // open streams end, and a request may meet the closing connection
	for _, n := range c.nodes {
		n.stop()
		l.goesOn(10 * time.Second)
		n.start(t)
		l.goesOn(wait)
	}
	l.finish()
}

// Both nodes load their config again, twenty times. Streams go on.
func TestTwentyReloadsOfBothNodes(t *testing.T) {
	c := running(t)
	l := work(t, c)
	l.broken = true // Linux resets what waits to be accepted on a socket that closes (docs/operations.md)
	for range 20 {
		for _, n := range c.nodes {
			_, config, err := n.admin(http.MethodGet, "/config/", "")
			if err != nil {
				t.Fatal(err)
			}
			if status, text, err := n.admin(http.MethodPost, "/load", config); err != nil || status != http.StatusOK {
				t.Fatalf("reload of %s: %d %s %v", n.name, status, text, err)
			}
		}
	}
	l.alive()
	l.goesOn(wait)
	l.finish()
}
