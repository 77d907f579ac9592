package limit_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"clinicgate/gateway/limit"
	"clinicgate/policy"
)

// 8 a.m.: 200 staff behind one address, a third of whom mistype once.
func TestClinicAtEightPasses(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Options{Now: c.Now})
	for i := range 200 {
		for try := range 2 {
			if try == 0 && i%3 != 0 {
				continue
			}
			if v := l.Take(t.Context(), attempt(i)); !v.Allowed() {
				t.Fatalf("person %d is refused by %s for %v", i, v.Reason(), v.RetryAfter())
			}
		}
		l.Succeeded(t.Context(), attempt(i))
		code := attempt(i)
		code.Kind = limit.KindTOTP
		if v := l.Take(t.Context(), code); !v.Allowed() {
			t.Fatalf("person %d's code is refused by %s", i, v.Reason())
		}
		l.Succeeded(t.Context(), code)
		c.Advance(3 * time.Second)
	}
}

// One address that guesses 20 passwords a minute over different accounts.
func TestSprayingFromOneAddressStops(t *testing.T) {
	tests := map[string]func(a *limit.Attempt, n int){
		"one practice":              func(*limit.Attempt, int) {},
		"many practices":            func(a *limit.Attempt, n int) { a.Practice = []policy.PracticeID{"harbour", "acacia", "wattle"}[n%3] },
		"mapped into IPv6 at times": func(a *limit.Attempt, n int) { a.Addr = []netip.Addr{a.Addr, netip.AddrFrom16(a.Addr.As16())}[n%2] },
		"IPv6 within one /64": func(a *limit.Attempt, n int) {
			a.Addr = netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", n+1))
		},
		"IPv6 with zones": func(a *limit.Attempt, n int) {
			a.Addr = netip.MustParseAddr(fmt.Sprintf("fe80::1%%eth%d", n))
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			l := limit.New(limit.Options{Now: c.Now})
			passed := 0
			for n := range 20 * 60 * 24 { // a day
				a := attempt(n)
				change(&a, n)
				if l.Take(t.Context(), a).Allowed() {
					passed++
				}
				if n == 20*10-1 && passed > 100 {
					t.Errorf("%d guesses passed in the first ten minutes, want at most 100", passed)
				}
				c.Advance(3 * time.Second)
			}
			if passed > 400 {
				t.Errorf("%d guesses passed in a day, want at most 400", passed)
			}
		})
	}
}

func TestNetworksAreApart(t *testing.T) {
	l := limit.New(limit.Options{Now: newClock().Now})
	a := attempt(0)
	a.Addr = netip.MustParseAddr("2001:db8:1:2::1")
	allowed(t, l, 200, func(n int) limit.Attempt { b := a; b.Account = fmt.Sprint(n); return b })
	a.Addr, a.Account = netip.MustParseAddr("2001:db8:1:3::1"), "new"
	if v := l.Take(t.Context(), a); !v.Allowed() {
		t.Errorf("the neighbour's /64 is refused by %s", v.Reason())
	}
}
