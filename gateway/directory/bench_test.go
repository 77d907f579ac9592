package directory_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"clinicgate/gateway/directory"
)

// The design point of DESIGN section 9.
const many = 10_000

// crowded is a node with many practices, applied in one go.
func crowded(b *testing.B, dir string) *node {
	b.Helper()
	n := openNode(b, dir, defaultPlatform(b))
	proposals := make([]directory.Proposal, many)
	for i := range proposals {
		proposals[i] = directory.Proposal{Document: document(b, fmt.Sprintf("practice-%d", i), []string{fmt.Sprintf("p%d.localhost", i)},
			"access: [{path: /booking/*, public: true}, {path: /billing/*, roles: [billing, practice_admin]}]",
			"step_up: [{path: /prescriptions/*, methods: [POST], level: aal2, max_age: 10m}]")}
	}
	begin := time.Now()
	if _, err := n.ApplyAll(b.Context(), proposals, operator, false); err != nil {
		b.Fatal(err)
	}
	b.Logf("applying %d practices at once: %v", many, time.Since(begin).Round(time.Millisecond))
	return n
}

// BenchmarkOpen is the start with 10,000 practices on one core; at most 5 s.
func BenchmarkOpen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "state")
	n := crowded(b, dir)
	reg, pf := n.db.Registry(), defaultPlatform(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	n.Directory = nil
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		d, err := directory.Open(b.Context(), reg, n.feed, pf)
		if err != nil || len(d.All()) != many || len(d.Problems()) != 0 {
			b.Fatal(err, len(d.All()))
		}
		n.Directory = d
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/many, "B/practice")
}

// BenchmarkApplyAmongMany is one change at 10,000 practices, durable and in force.
func BenchmarkApplyAmongMany(b *testing.B) {
	n := crowded(b, filepath.Join(b.TempDir(), "state"))
	docs := []string{"Asia/Tokyo", "UTC"}
	i := 0
	for b.Loop() {
		apply(b, n, document(b, "practice-77", []string{"p77.localhost"}, "timezone: "+docs[i%2]))
		i++
	}
}

// BenchmarkReloadAmongMany is one change of another node at 10,000 practices.
func BenchmarkReloadAmongMany(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "state")
	a := crowded(b, dir)
	n := openNode(b, dir, defaultPlatform(b))
	for b.Loop() {
		b.StopTimer()
		if p := a.ByID("practice-77"); p.Suspended {
			a.Resume(b.Context(), p.ID, operator)
		} else {
			a.Suspend(b.Context(), p.ID, operator)
		}
		b.StartTimer()
		if err := n.Reload(b.Context(), "practice-77"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReviewAmongMany is the search for lost news, once a minute.
func BenchmarkReviewAmongMany(b *testing.B) {
	n := crowded(b, filepath.Join(b.TempDir(), "state"))
	for b.Loop() {
		if err := n.Reload(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkByHost is what every request pays.
func BenchmarkByHost(b *testing.B) {
	n := crowded(b, filepath.Join(b.TempDir(), "state"))
	b.ReportAllocs()
	for b.Loop() {
		if n.ByHost("p9876.localhost") == nil {
			b.Fatal("not found")
		}
	}
}
