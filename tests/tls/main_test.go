// Package tls_test tries the running gateway, with the Caddyfile that is shipped, from the
// connection's side: what is agreed on in handshakes, which hosts get certificates,
// what every answer carries, what listens where, and how it is deployed and reloaded.
package tls_test

import (
	"os"
	"sync"
	"testing"
)

// kept collects what the shared installation cleans up when all tests have run.
type kept struct {
	testing.TB // of the test that came first
	after      []func()
}

func (k *kept) Cleanup(f func()) { k.after = append(k.after, f) }

// Failed is false: what a test finds is told by that test.
func (*kept) Failed() bool { return false }

var (
	shared     *install
	sharedOnce sync.Once
	atEnd      *kept
)

// served is the installation that tests share: north and south with a backend, down
// without. Tests that change it make their own.
func served(t *testing.T) *install {
	t.Helper()
	sharedOnce.Do(func() {
		atEnd = &kept{TB: t}
		shared = serve(atEnd)
	})
	if shared == nil {
		t.Fatal("the shared installation does not serve: see the first test")
	}
	return shared
}

// serve starts an installation with the practices that most tests need.
func serve(t testing.TB, edit ...string) *install {
	t.Helper()
	i := prepare(t, edit...)
	upstream := startBackend(t)
	i.practice(t, north, upstream)
	i.practice(t, south, upstream)
	i.practice(t, flaky, startBackend(t))
	i.practice(t, down, "127.0.0.1:1")
	i.start(t)
	i.trustInternal(t)
	return i
}

func TestMain(m *testing.M) {
	code := m.Run()
	if atEnd != nil {
		for k := len(atEnd.after) - 1; k >= 0; k-- {
			atEnd.after[k]()
		}
	}
	os.Exit(code)
}
