package core

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the gateway's figures. They live as long as the core; every config
// registers them anew, because Caddy makes a new registry per config.
type Metrics struct {
	// SignIns counts sign-in steps by result.
	SignIns *prometheus.CounterVec
	// Undecided counts requests that reached the transport without a decision. It is
	// an alarm: the order of handlers is wrong.
	Undecided prometheus.Counter

	// OrdersRefused counts certificates that were not ordered, FailedOrders those that
	// the authority did not give.
	OrdersRefused, FailedOrders prometheus.Counter

	refusals *prometheus.CounterVec
	all      []prometheus.Collector
}

const namespace = "clinicgate"

func newMetrics(c *Core) *Metrics {
	m := &Metrics{
		SignIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "sign_ins_total", Help: "Sign-in steps by result.",
		}, []string{"result"}),
		Undecided: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "undecided_requests_total", Help: "Requests refused by the transport for lack of a decision.",
		}),
		OrdersRefused: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "certificate_orders_refused_total",
			Help: "Certificates not ordered because of too many orders, or because they could not be counted. Alarm when it grows.",
		}),
		FailedOrders: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "certificate_orders_failed_total",
			Help: "Certificates that were ordered and not issued. Alarm when it grows.",
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "refusals_total", Help: "Refused requests by reason.",
		}, []string{"reason"}),
	}
	m.all = append([]prometheus.Collector{m.SignIns, m.Undecided, m.OrdersRefused, m.FailedOrders, m.refusals}, readings(c)...)
	return m
}

// Register adds the figures to the registry of a config, in the place of those that
// another core, or this one, has put there.
func (m *Metrics) Register(registry prometheus.Registerer) error {
	for _, collector := range m.all {
		err := registry.Register(collector)
		var before prometheus.AlreadyRegisteredError
		if errors.As(err, &before) {
			registry.Unregister(before.ExistingCollector)
			err = registry.Register(collector)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Refused counts a refusal. reason is one of the constant codes, so that the number
// of series is bounded.
func (m *Metrics) Refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }
