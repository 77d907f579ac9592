package app

import (
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector's pace. A proxy's live heap is small and its garbage
// short-lived: at Go's default the collector runs many times a second for a few
// megabytes, a tenth of the proxy's time (docs/performance.md). With a million sessions
// the live heap is large, and marking it a third. So the heap may grow by up to
// leastHeadroom, or a share of the memory limit that Caddy takes from the machine or the
// container, before the collector runs; but never by more than mostPercent of what is
// live. Near the limit the runtime collects more often whatever stands here.
const (
	leastHeadroom = 256 << 20 // bytes
	headroomShare = 8         // this part of the memory limit
	mostPercent   = 400
	leastPercent  = 100 // Go's default
	pacePeriod    = 10 * time.Second
)

// collector sets the pace as the live heap changes. nil does nothing.
type collector struct{ done chan struct{} }

// startCollector begins to set the pace, unless the operator has set GOGC.
func startCollector() *collector {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	c := &collector{done: make(chan struct{})}
	debug.SetGCPercent(mostPercent)
	go c.run()
	return c
}

func (c *collector) run() {
	ticker := time.NewTicker(pacePeriod)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := mostPercent; ; {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		metrics.Read(live)
		if next := pace(live[0].Value.Uint64(), memoryLimit()); next != percent {
			percent = next
			debug.SetGCPercent(percent)
		}
	}
}

// stop leaves the pace as it is: after a reload the next config's collector sets it.
func (c *collector) stop() {
	if c != nil {
		close(c.done)
	}
}

// memoryLimit is the most that the process should take, in bytes; 0 for no limit.
func memoryLimit() uint64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return uint64(limit)
	}
	return 0
}

// pace is the GC percentage for a live heap of that many bytes under a memory limit, in
// steps of 25 so that it does not change all the time.
func pace(live, limit uint64) int {
	percent := max(leastHeadroom, limit/headroomShare) * 100 / max(live, 1)
	return int(min(max(percent, leastPercent), mostPercent)) / 25 * 25
}
