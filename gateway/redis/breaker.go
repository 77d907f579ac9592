package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

const (
	tripAfter = 5           // failures in a row
	openFor   = time.Second // then nothing is asked for that long
)

// breaker keeps a Redis that fails from costing every sign-in its time limits. The client asks Allow and reports in
// separate calls, so the result is what the circuit breaker executes.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[struct{}]
}

func newBreaker() *breaker {
	return &breaker{gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:      openFor,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsSuccessful: answered,
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
	})}
}

// Allow fails while the circuit is open.
func (b *breaker) Allow() error {
	if b.circuit.State() == gobreaker.StateOpen {
		return gobreaker.ErrOpenState
	}
	return nil
}

// ReportResult takes the outcome of a command.
func (b *breaker) ReportResult(err error) {
	_, _ = b.circuit.Execute(func() (struct{}, error) { return struct{}{}, err })
}

// answered: no such key and no such script are answers too. Read-only, full, loading, wrong password are not.
func answered(err error) bool {
	return err == nil || errors.Is(err, goredis.Nil) || strings.HasPrefix(err.Error(), "NOSCRIPT")
}

var _ goredis.Limiter = (*breaker)(nil)
