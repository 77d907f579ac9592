package core

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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
	gauge("feed_listening", "Whether other nodes' changes are heard of by Redis, before the next poll.",
		func() float64 { return number(c.Feed.Listening()) })
	gauge("clock_ahead_seconds", "How far this machine's clock is ahead of the database's, on PostgreSQL. Alarm above 2 and below -2.",
		func() float64 { return time.Duration(c.clock.ahead.Load()).Seconds() })
	gauge("limits_failing", "Whether sign-in budgets are counted by this node alone, because Redis does not answer. Alarm above 0.",
		func() float64 { return number(c.Limits.Stats().Failing) })
	gauge("certificates", "Certificates of practices' hosts.",
		func() float64 { return float64(c.expiries.Load().known()) })
	gauge("certificate_expiry_seconds", "Seconds until the first certificate of a practice's host ends. Alarm below 604800.",
		func() float64 { return c.expiries.Load().next(c.Now()) })
	gauge("certificates_expiring", "Certificates that should have been renewed and end soon. Alarm above 0.",
		func() float64 { soon, _ := c.expiries.Load().count(c.Now()); return float64(soon) })
	gauge("certificates_expired", "Certificates that have ended. Alarm above 0.",
		func() float64 { _, over := c.expiries.Load().count(c.Now()); return float64(over) })

	counter("limits_alone_total", "Sign-in attempts that this node decided without Redis. Alarm when it grows.",
		func() int64 { return c.Limits.Stats().Alone })
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

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
