package core

import (
	"context"
	"errors"
	"math"
	"time"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/certstore"
	"clinicgate/policy"
)

// Certificate is one that a host has, and when it is good.
type Certificate struct {
	Host        string
	From, Until time.Time
}

// A certificate is renewed in the last third of its life, or when its authority says. One
// that has less than this left was not renewed.
const (
	expiresSoon = 7 * 24 * time.Hour
	lastPart    = 6 // of a life that is short: a sixth
)

func (k Certificate) endsSoon(now time.Time) bool {
	return k.Until.Sub(now) < min(expiresSoon, k.Until.Sub(k.From)/lastPart)
}

// expiries are the certificates as the last look found them, one a host. nil is none.
type expiries struct{ all map[string]Certificate }

func (e *expiries) known() int {
	if e == nil {
		return 0
	}
	return len(e.all)
}

// next is the seconds until the first of them ends, less than 0 after it.
func (e *expiries) next(now time.Time) float64 {
	first := math.Inf(1)
	if e != nil {
		for _, k := range e.all {
			first = min(first, k.Until.Sub(now).Seconds())
		}
	}
	return first
}

func (e *expiries) count(now time.Time) (soon, over int) {
	if e == nil {
		return 0, 0
	}
	for _, k := range e.all {
		switch {
		case !now.Before(k.Until):
			over++
		case k.endsSoon(now):
			soon++
		}
	}
	return soon, over
}

// SetCertificates takes what a look into the storage found: it is what the metrics say,
// and a practice whose host has a certificate that ends soon finds that in its audit log,
// once a day. Hosts that no practice has are left out; of several certificates of a host
// the one that is good for longest counts.
func (c *Core) SetCertificates(ctx context.Context, found []Certificate) {
	all := make(map[string]Certificate)
	for _, k := range found {
		if c.Directory.ByHost(k.Host) != nil && k.Until.After(all[k.Host].Until) {
			all[k.Host] = k
		}
	}
	c.expiries.Store(&expiries{all})
	for _, k := range all {
		now := c.Now()
		switch until := k.Until.UTC().Format(time.RFC3339); {
		case !now.Before(k.Until):
			c.warn(ctx, k.Host, "certificate_expired", map[string]string{"until": until})
		case k.endsSoon(now):
			c.warn(ctx, k.Host, "certificate_expires", map[string]string{"until": until})
		}
	}
}

// OrderCertificate allows a certificate to be ordered for a host now, or says why not: the
// budgets of its practice or of the installation are used up, or cannot be asked.
func (c *Core) OrderCertificate(ctx context.Context, host string) error {
	err := c.Certificates.Order(ctx, c.practiceOf(host))
	if err == nil {
		return nil
	}
	c.Metrics.OrdersRefused.Inc()
	c.Log().Error("a certificate was not ordered", "host", host, "reason", err)
	if errors.Is(err, certstore.ErrTooMany) {
		c.warn(ctx, host, "certificate_order_refused", nil)
	}
	return err
}

// CertificateFailed notes that the authority did not give a certificate.
func (c *Core) CertificateFailed(ctx context.Context, host string, renewal bool) {
	c.Metrics.FailedOrders.Inc()
	what := "certificate_order_failed"
	if renewal {
		what = "certificate_renewal_failed"
	}
	c.warn(ctx, host, what, nil)
}

func (c *Core) practiceOf(host string) policy.PracticeID {
	if p := c.Directory.ByHost(host); p != nil {
		return p.ID
	}
	return ""
}

// warnTimeout bounds writing one warning.
const warnTimeout = 10 * time.Second

// warn writes to the log of a host's practice, the first time in a day over all nodes.
func (c *Core) warn(ctx context.Context, host, action string, detail map[string]string) {
	id := c.practiceOf(host)
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, warnTimeout)
	defer cancel()
	first, err := c.Certificates.FirstToday(ctx, host, action)
	if err == nil && first {
		event := audit.Event{Class: audit.System, Action: action, Actor: "gateway", Subject: host, Detail: detail}
		if err = c.Audit.Append(ctx, id, event); err != nil {
			err = errors.Join(err, c.Certificates.NotToday(context.WithoutCancel(ctx), host, action))
		}
	}
	if err != nil && ctx.Err() == nil {
		c.Log().Error("a warning about a certificate could not be recorded", "practice", id, "action", action, "reason", err)
	}
}
