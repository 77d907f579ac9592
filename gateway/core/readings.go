package core

import "github.com/prometheus/client_golang/prometheus"

// readings are the figures that the parts keep themselves and that are read when
// somebody asks.
func readings(c *Core) []prometheus.Collector {
	var all []prometheus.Collector
	gauge := func(name, help string, value func() float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func() int64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help},
			func() float64 { return float64(value()) }))
	}
	gauge("practices", "Practices in the index.",
		func() float64 { return float64(len(c.Directory.All())) })
	gauge("broken_practices", "Practices whose stored policy cannot be used. Alarm above 0.",
		func() float64 { return float64(len(c.Directory.Problems())) })
	gauge("open_databases", "Open practice databases.",
		func() float64 { return float64(c.DB.OpenCount()) })
	gauge("open_streams", "Open exchanges with backends: requests, WebSockets, event streams, transfers.",
		func() float64 { return float64(c.Streams.Count()) })
	gauge("cached_sessions", "Sessions in memory.",
		func() float64 { return float64(c.Sessions.Stats().Cached) })
	gauge("feed_age_seconds", "Seconds since the change feed was last read. Alarm above 5.",
		func() float64 { return c.Now().Sub(c.Feed.LastOK()).Seconds() })

	counter("password_worker_failures_total", "Password workers that died, hung or could not be started. Alarm when it grows.",
		func() int64 { return c.hashes.Failures() })
	counter("session_lookups_unavailable_total", "Session look-ups that could not be answered. Alarm when it grows.",
		func() int64 { return c.Sessions.Stats().Unavailable })
	counter("session_mismatches_total", "Session records that named another practice or session. Alarm above 0.",
		func() int64 { return c.Sessions.Stats().Mismatches })
	counter("session_unannounced_total", "Ends of sessions that other processes could not be told of at once. Alarm when it grows.",
		func() int64 { return c.Sessions.Stats().Unpublished })
	counter("audit_events_total", "Audit events written.",
		func() int64 { return c.Audit.Stats().Appended })
	counter("audit_failures_total", "Audit events that could not be written. Alarm when it grows.",
		func() int64 { return c.Audit.Stats().Failed })
	counter("audit_dropped_total", "Refusals that were not written for lack of room. Alarm when it grows.",
		func() int64 { return c.Audit.Stats().Dropped })
	counter("audit_uncopied_total", "Times that heads of audit logs could not be copied to the registry. Alarm when it grows.",
		func() int64 { return c.Audit.Stats().Uncopied })
	counter("audit_damaged_total", "Times an audit log was found damaged. Alarm above 0.",
		func() int64 { return c.Audit.Stats().Damaged })
	return all
}
