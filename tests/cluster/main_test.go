// Package cluster_test runs two gateways with the files of config/cluster, a PostgreSQL and a Redis
// of their own and a balancer, on loopback, and breaks each of them under load (DESIGN section 4).
// docs/reliability.md tells what people see meanwhile.
package cluster_test

import (
	"os"
	"sync"
	"testing"
)

// kept collects what the cluster cleans up when all tests have run.
type kept struct {
	testing.TB // of the test that came first
	after      []func()
}

func (k *kept) Cleanup(f func()) { k.after = append(k.after, f) }

// Failed is false: what a test finds is told by that test.
func (*kept) Failed() bool { return false }

// TempDir outlives the test too.
func (k *kept) TempDir() string { return tempDir(k, "gate") }

func (k *kept) end() {
	for i := len(k.after) - 1; i >= 0; i-- {
		k.after[i]()
	}
}

var (
	shared     *cluster
	sharedOnce sync.Once
	atEnd      *kept
)

// running is the cluster that the tests share, one after the other: each must leave it as it found
// it, because what is broken has to recover by itself.
func running(t *testing.T) *cluster {
	t.Helper()
	sharedOnce.Do(func() {
		atEnd = &kept{TB: t}
		shared = startCluster(atEnd)
	})
	if shared == nil {
		t.Fatal("the cluster does not serve: see the first test")
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range shared.nodes {
				t.Logf("%s's log:\n%s", n.name, tail(trouble(n.log), 1500))
			}
			t.Logf("PostgreSQL's log:\n%s", tail(shared.postgres.log.String(), 600))
		}
	})
	return shared
}

func tail(text string, size int) string { return text[max(0, len(text)-size):] }

func TestMain(m *testing.M) {
	code := m.Run()
	if atEnd != nil {
		atEnd.end()
	}
	os.Exit(code)
}
