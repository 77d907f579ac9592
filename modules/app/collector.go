package app

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector's pace. A proxy's live heap is small and its garbage
// short-lived: at Go's default the collector runs many times a second for a few
// megabytes, a tenth of the proxy's time (docs/performance.md). So the heap may grow by
// up to headroom before it runs, but never by more than mostPercent of what is live,
// and with a large live heap the default holds. Near the memory limit that Caddy takes
// from the machine or the container the runtime collects more often whatever stands here.
const (
	headroom     = 256 << 20 // bytes
	mostPercent  = 400
	leastPercent = 100 // Go's default
	pacePeriod   = 10 * time.Second
)

// collector sets the pace as the live heap changes. nil does nothing.
type collector struct{ done chan struct{} }

// startCollector begins to set the pace, unless the operator has set GOGC.
func startCollector() *collector {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	c := &collector{done: make(chan struct{})}
	debug.SetGCPercent(pace(0))
	go c.run()
	return c
}

func (c *collector) run() {
	ticker := time.NewTicker(pacePeriod)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := pace(0); ; {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		metrics.Read(live)
		if next := pace(live[0].Value.Uint64()); next != percent {
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

// pace is the GC percentage for a live heap of that many bytes, in steps of 25 so that
// it does not change all the time.
func pace(live uint64) int {
	percent := uint64(headroom) * 100 / max(live, 1)
	return int(min(max(percent, leastPercent), mostPercent)) / 25 * 25
}
