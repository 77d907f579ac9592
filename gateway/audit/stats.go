package audit

import (
	"sync/atomic"
	"time"
)

// Stats are counts since the log was opened, for metrics and alarms.
type Stats struct {
	Appended  int64     // records made durable
	Folded    int64     // refusals counted into another record
	Dropped   int64     // refusals lost: queue full or database unavailable
	Failed    int64     // events whose transaction failed; their callers were told
	Uncopied  int64     // times that heads could not be copied to the registry
	Damaged   int64     // damages found while writing; any is an alarm
	Waiting   int64     // refusals in the queues now
	LastError time.Time // of the last failure to write or to copy a checkpoint; zero = none
}

// Stats returns the counts now.
func (l *Log) Stats() Stats {
	s := Stats{
		Appended: l.stats.appended.Load(),
		Folded:   l.stats.folded.Load(),
		Dropped:  l.stats.dropped.Load(),
		Failed:   l.stats.failed.Load(),
		Uncopied: l.stats.uncopied.Load(),
		Damaged:  l.stats.damaged.Load(),
		Waiting:  l.folds.waiting.Load(),
	}
	if at := l.stats.lastError.Load(); at != 0 {
		s.LastError = time.UnixMicro(at).UTC()
	}
	return s
}

type counters struct {
	appended, folded, dropped, failed, uncopied, damaged atomic.Int64

	lastError, alarmed atomic.Int64 // unix microseconds
}

func (c *counters) fail(now time.Time, events int) {
	c.failed.Add(int64(events))
	c.lastError.Store(now.UnixMicro())
}
