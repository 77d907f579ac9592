package core_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"clinicgate/gateway/core"
	"clinicgate/gateway/limit"
	"clinicgate/gateway/redis"
	"clinicgate/gateway/redis/redistest"
)

// logbook is a log that can be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// await waits until something was written n times. The test's own time limit is the only clock.
func (b *logbook) await(n int, what string) {
	for {
		b.mu.Lock()
		got := strings.Count(b.text.String(), what)
		b.mu.Unlock()
		if got >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNodesWithOneRedis: budgets are common to both, operators hear when they are not,
// and everything that runs ends with Close.
func TestNodesWithOneRedis(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	s := redistest.Start(t)
	o, book := options(t, "{}"), &logbook{}
	o.Redis, o.Log = &redis.Options{URL: s.URL()}, slog.New(slog.NewTextHandler(book, nil))
	var nodes []*core.Core
	for range 2 {
		c, err := core.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		nodes = append(nodes, c)
	}
	passed := 0
	for n := range 20 {
		a := limit.Attempt{Practice: "harbour", Account: "somebody", Addr: netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", n)), Kind: limit.KindTOTP}
		if nodes[n%2].Limits.Take(t.Context(), a).Allowed() {
			passed++
		}
	}
	if passed != 5 {
		t.Errorf("%d attempts passed on two nodes, want 5", passed)
	}
	for _, c := range nodes {
		for !c.Feed.Listening() {
			time.Sleep(time.Millisecond)
		}
	}
	registry := register(t, nodes[0])
	if got := figures(t, registry); got["clinicgate_limits_failing"] != 0 || got["clinicgate_feed_listening"] != 1 {
		t.Errorf("with Redis: %v", got)
	}
	s.Kill()
	book.await(2, "counted by this node alone")
	if got := figures(t, registry); got["clinicgate_limits_failing"] != 1 {
		t.Errorf("without Redis: %v", got)
	}
	s.Restart(t)
	book.await(2, "counted by all nodes again")
	if got := figures(t, registry); got["clinicgate_limits_failing"] != 0 {
		t.Errorf("with Redis again: %v", got)
	}
}

// TestClusterDocumentNamesRedis: where it is, and its password from the file that only
// the gateway reads.
func TestClusterDocumentNamesRedis(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	password := write("password", "canary-4711\n")
	document := "postgres: {registry: 'postgres://gateway@127.0.0.1/r', practices: 'postgres://gateway@127.0.0.1/p_{practice}'}\n"
	files := core.Files{State: dir, Cluster: write("cluster.yaml", document+
		"redis: {url: 'rediss://redis.example:6380/2', ca: /etc/ca.pem, username: gateway, password: {file: '"+password+"'}}\n")}
	o, err := core.ReadOptions(files)
	if err != nil {
		t.Fatal(err)
	}
	want := redis.Options{URL: "rediss://redis.example:6380/2", CA: "/etc/ca.pem", Username: "gateway", Password: "canary-4711"}
	if o.Redis == nil || *o.Redis != want {
		t.Errorf("got %+v", o.Redis)
	}
	files.Cluster = write("alone.yaml", document)
	if o, err := core.ReadOptions(files); err != nil || o.Redis != nil {
		t.Errorf("without Redis: got %+v, %v", o.Redis, err)
	}
}
