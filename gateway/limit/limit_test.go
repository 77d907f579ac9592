package limit_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"clinicgate/gateway/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a fake time that moves only when told to.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2030, 3, 4, 8, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// attempt is a password attempt of the nth account from one clinic address.
func attempt(n int) limit.Attempt {
	return limit.Attempt{
		Practice: "harbour", Account: fmt.Sprintf("person%d@harbour.test", n),
		Addr: netip.MustParseAddr("203.0.113.7"), Kind: limit.KindPassword,
	}
}

// from is a with another address: the nth of many.
func from(a limit.Attempt, n int) limit.Attempt {
	a.Addr = netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})
	return a
}

func TestZeroRefuses(t *testing.T) {
	good := attempt(1)
	tests := map[string]func() limit.Verdict{
		"verdict":     func() limit.Verdict { return limit.Verdict{} },
		"nil limiter": func() limit.Verdict { return (*limit.Limiter)(nil).Take(t.Context(), good) },
		"limiter":     func() limit.Verdict { return new(limit.Limiter).Take(t.Context(), good) },
		"attempt":     func() limit.Verdict { return limit.New(limit.Options{}).Take(t.Context(), limit.Attempt{}) },
		"no practice": func() limit.Verdict {
			a := good
			a.Practice = ""
			return limit.New(limit.Options{}).Take(t.Context(), a)
		},
		"no account": func() limit.Verdict {
			a := good
			a.Account = ""
			return limit.New(limit.Options{}).Take(t.Context(), a)
		},
		"no address": func() limit.Verdict {
			a := good
			a.Addr = netip.Addr{}
			return limit.New(limit.Options{}).Take(t.Context(), a)
		},
		"unknown kind": func() limit.Verdict { a := good; a.Kind = 99; return limit.New(limit.Options{}).Take(t.Context(), a) },
	}
	for name, take := range tests {
		t.Run(name, func(t *testing.T) {
			v := take()
			if v.Allowed() || v.RetryAfter() < time.Second || v.Reason() != "incomplete" {
				t.Errorf("got allowed=%v retry=%v reason=%q, want a refusal", v.Allowed(), v.RetryAfter(), v.Reason())
			}
		})
	}
}

// THREATS F2, L2: five failures cost nothing, then the wait grows and never
// exceeds its maximum, however long somebody goes on.
func TestAccountWaitGrowsAndNeverLocksForGood(t *testing.T) {
	tests := []struct {
		kind limit.Kind
		want []time.Duration
	}{
		{limit.KindPassword, seconds(2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900)},
		{limit.KindTOTP, seconds(30, 60, 120, 240, 480, 900, 900)},
	}
	for _, tt := range tests {
		t.Run(tt.kind.String(), func(t *testing.T) {
			c := newClock()
			l := limit.New(limit.Options{Now: c.Now})
			a := attempt(1)
			a.Kind = tt.kind
			for i := range 5 {
				if v := l.Take(t.Context(), from(a, i)); !v.Allowed() {
					t.Fatalf("attempt %d: refused by %s", i+1, v.Reason())
				}
			}
			var got []time.Duration
			for i := range tt.want {
				v := l.Take(t.Context(), from(a, 10+i))
				if v.Allowed() || v.Reason() != "account" {
					t.Fatalf("wait %d: got allowed=%v by %q, want refused by account", i, v.Allowed(), v.Reason())
				}
				got = append(got, v.RetryAfter())
				c.Advance(v.RetryAfter() - time.Millisecond)
				if l.Take(t.Context(), from(a, 100+i)).Allowed() {
					t.Fatalf("wait %d: allowed a millisecond early", i)
				}
				c.Advance(time.Millisecond)
				if v := l.Take(t.Context(), from(a, 200+i)); !v.Allowed() {
					t.Fatalf("wait %d: refused by %s after the wait", i, v.Reason())
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("waits (-want +got):\n%s", d)
			}
		})
	}
}

func seconds(s ...int) []time.Duration {
	var d []time.Duration
	for _, x := range s {
		d = append(d, time.Duration(x)*time.Second)
	}
	return d
}

// Hammering while refused must not make the owner's wait longer.
func TestHammeringDoesNotLengthenTheWait(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Options{Now: c.Now})
	for i := range 5 {
		l.Take(t.Context(), from(attempt(1), i))
	}
	for i := range 1000 {
		if l.Take(t.Context(), from(attempt(1), i)).Allowed() {
			t.Fatalf("hammering attempt %d was allowed", i)
		}
	}
	c.Advance(2 * time.Second)
	if v := l.Take(t.Context(), from(attempt(1), 1)); !v.Allowed() {
		t.Errorf("the owner is refused by %s for %v after the wait", v.Reason(), v.RetryAfter())
	}
}

// THREATS L2: strangers' failures never lock the owner out from a known device.
func TestStrangersDoNotLockTheOwnersDeviceOut(t *testing.T) {
	for _, kind := range []limit.Kind{limit.KindPassword, limit.KindTOTP} {
		t.Run(kind.String(), func(t *testing.T) {
			l := limit.New(limit.Options{Now: newClock().Now})
			stranger := attempt(1)
			stranger.Kind = kind
			owner := stranger
			owner.Device = true
			for i := range 10_000 { // uses up the practice's budget too
				s := from(stranger, i)
				s.Account = fmt.Sprintf("person%d@harbour.test", i%400)
				l.Take(t.Context(), s)
			}
			if l.Take(t.Context(), from(stranger, 1)).Allowed() {
				t.Fatal("the stranger is still allowed")
			}
			if v := l.Take(t.Context(), owner); !v.Allowed() {
				t.Errorf("the owner on a known device is refused by %s", v.Reason())
			}
		})
	}
}

// A stolen device cookie buys one more account budget, not endless guesses.
func TestKnownDeviceIsLimitedToo(t *testing.T) {
	l := limit.New(limit.Options{Now: newClock().Now})
	a := attempt(1)
	a.Device = true
	if got := allowed(t, l, 100, func(int) limit.Attempt { return a }); got != 5 {
		t.Errorf("got %d guesses from a known device, want 5", got)
	}
}

// THREATS F2: a right password clears nothing of the codes, and success of
// another practice's account with the same address clears nothing here.
func TestSuccessClearsOnlyItsOwnAccount(t *testing.T) {
	base := attempt(1)
	base.Kind = limit.KindTOTP
	tests := map[string]func(*limit.Attempt){
		"password instead of code": func(a *limit.Attempt) { a.Kind = limit.KindPassword },
		"other practice":           func(a *limit.Attempt) { a.Practice = "acacia" },
		"other account":            func(a *limit.Attempt) { a.Account = "other@harbour.test" },
		"known device":             func(a *limit.Attempt) { a.Device = true },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			l := limit.New(limit.Options{Now: newClock().Now})
			allowed(t, l, 10, func(int) limit.Attempt { return base })
			other := base
			change(&other)
			for range 3 {
				if !l.Take(t.Context(), other).Allowed() {
					t.Fatal("the other attempt was refused")
				}
				l.Succeeded(t.Context(), other)
			}
			if l.Take(t.Context(), base).Allowed() {
				t.Error("a success elsewhere cleared this account's failures")
			}
		})
	}
}

// After a success the waits begin at the shortest again.
func TestSuccessForgetsTheWait(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Options{Now: c.Now})
	for i := range 10 {
		l.Take(t.Context(), from(attempt(1), i))
		c.Advance(l.Take(t.Context(), from(attempt(1), i)).RetryAfter())
	}
	l.Succeeded(t.Context(), attempt(1))
	allowed(t, l, 5, func(n int) limit.Attempt { return from(attempt(1), n) })
	if got := l.Take(t.Context(), attempt(1)).RetryAfter(); got != 2*time.Second {
		t.Errorf("the first wait after a success is %v, want 2s", got)
	}
}

func TestSuccessForgetsTheAccountsFailures(t *testing.T) {
	l := limit.New(limit.Options{Now: newClock().Now})
	for round := range 50 {
		for i := range 5 {
			if v := l.Take(t.Context(), from(attempt(1), round)); !v.Allowed() {
				t.Fatalf("round %d, attempt %d: refused by %s", round, i, v.Reason())
			}
		}
		l.Succeeded(t.Context(), from(attempt(1), round))
	}
}

// A sign-in that was answered "busy" was not decided and costs nothing; but it
// gives back one attempt, no more.
func TestReturnGivesBackExactlyOneAttempt(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Options{Now: c.Now})
	for range 500 {
		if v := l.Take(t.Context(), attempt(1)); !v.Allowed() {
			t.Fatalf("refused by %s although nothing was decided", v.Reason())
		}
		l.Return(t.Context(), attempt(1))
	}
	if got := allowed(t, l, 50, func(int) limit.Attempt { return attempt(1) }); got != 5 {
		t.Fatalf("got %d free failures, want 5", got)
	}
	c.Advance(2 * time.Second) // the sixth, through the gate, is busy
	if !l.Take(t.Context(), attempt(1)).Allowed() {
		t.Fatal("refused after the wait")
	}
	l.Return(t.Context(), attempt(1))
	if got := allowed(t, l, 50, func(int) limit.Attempt { return attempt(1) }); got != 1 {
		t.Errorf("got %d attempts after one was given back, want 1", got)
	}
}

// THREATS L1: a refusal says nothing about the account.
func TestRefusalsDoNotDependOnTheAccount(t *testing.T) {
	run := func(account string) (out []limit.Verdict) {
		c := newClock()
		l := limit.New(limit.Options{Now: c.Now})
		for i := range 40 {
			a := from(attempt(0), i)
			a.Account = account
			out = append(out, l.Take(t.Context(), a))
			c.Advance(700 * time.Millisecond)
		}
		return out
	}
	want := run("admin@harbour.test")
	for _, other := range []string{"nobody@harbour.test", "not an address", "x"} {
		if d := cmp.Diff(want, run(other), cmp.AllowUnexported(limit.Verdict{})); d != "" {
			t.Errorf("account %q is answered differently (-want +got):\n%s", other, d)
		}
	}
}

// Names chosen so that joining them without lengths would give one key.
func TestKeysCannotBeMadeToMeet(t *testing.T) {
	l := limit.New(limit.Options{Now: newClock().Now})
	a := attempt(0)
	a.Practice, a.Account = "ab", "c@x"
	b := a
	b.Practice, b.Account = "a", "bc@x"
	allowed(t, l, 20, func(n int) limit.Attempt { return from(a, n) })
	if v := l.Take(t.Context(), from(b, 99)); !v.Allowed() {
		t.Errorf("another practice's account is refused by %s", v.Reason())
	}
}

// 50 parallel attempts never exceed a budget, whichever it is.
func TestParallelAttemptsNeverExceedTheBudget(t *testing.T) {
	one := limit.Budget{Limit: 1, Period: time.Hour}
	seven := limit.Budget{Limit: 7, Period: time.Hour}
	tests := map[string]struct {
		options limit.Options
		attempt func(n int) limit.Attempt
		want    int64
	}{
		"account":  {limit.Options{}, func(n int) limit.Attempt { return from(attempt(1), n) }, 5},
		"code":     {limit.Options{}, func(n int) limit.Attempt { a := from(attempt(1), n); a.Kind = limit.KindTOTP; return a }, 5},
		"address":  {limit.Options{Strangers: limit.Budgets{Address: seven}}, attempt, 7},
		"day":      {limit.Options{Strangers: limit.Budgets{AddressDay: seven}}, attempt, 7},
		"practice": {limit.Options{Strangers: limit.Budgets{Practice: seven}}, func(n int) limit.Attempt { return from(attempt(n), n) }, 7},
		"gateway":  {limit.Options{Strangers: limit.Budgets{Gateway: one}}, func(n int) limit.Attempt { return from(attempt(n), n) }, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.options.Now = newClock().Now
			l := limit.New(tt.options)
			var passed atomic.Int64
			var all sync.WaitGroup
			start := make(chan struct{})
			for n := range 50 {
				all.Go(func() {
					<-start
					if l.Take(t.Context(), tt.attempt(n)).Allowed() {
						passed.Add(1)
					}
				})
			}
			close(start)
			all.Wait()
			if got := passed.Load(); got > tt.want || got == 0 {
				t.Errorf("%d of 50 parallel attempts passed, want 1 to %d", got, tt.want)
			}
			if v := l.Take(t.Context(), tt.attempt(1)); passed.Load() == tt.want && v.Allowed() {
				t.Error("one more passed afterwards")
			}
		})
	}
}

// Whoever is refused takes nothing from budgets that others share.
func TestRefusedAttemptsDoNotUseUpSharedBudgets(t *testing.T) {
	l := limit.New(limit.Options{Now: newClock().Now})
	for range 5 { // one account, hammered from one address
		allowed(t, l, 5_000, func(int) limit.Attempt { return attempt(1) })
	}
	for range 5 { // one address, over all accounts
		allowed(t, l, 5_000, func(n int) limit.Attempt { return attempt(n) })
	}
	if v := l.Take(t.Context(), from(attempt(2), 1)); !v.Allowed() {
		t.Errorf("a bystander is refused by %s", v.Reason())
	}
}

// A practice whose budget is used up must not cost the address it is tried
// from, which may be another practice's too.
func TestRefusedByThePracticeCostsTheAddressNothing(t *testing.T) {
	l := limit.New(limit.Options{
		Now: newClock().Now, Strangers: limit.Budgets{Practice: limit.Budget{Limit: 1, Period: time.Hour}},
	})
	allowed(t, l, 5_000, func(n int) limit.Attempt { return attempt(n) })
	other := attempt(1)
	other.Practice = "acacia"
	if v := l.Take(t.Context(), other); !v.Allowed() {
		t.Errorf("the other practice is refused by %s", v.Reason())
	}
}

// Successes must not pile up into credit for guesses.
func TestSuccessesAreNoCreditForGuesses(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Options{Now: c.Now})
	for i := range 150 {
		l.Take(t.Context(), attempt(i))
	}
	c.Advance(11 * time.Minute) // the window they were counted in is over
	for i := range 150 {
		l.Succeeded(t.Context(), attempt(i))
	}
	if got := allowed(t, l, 1000, func(n int) limit.Attempt { return attempt(1000 + n) }); got > 100 {
		t.Errorf("%d guesses passed, want at most 100", got)
	}
}

// Settings: mistakes are named, and never lift a limit.
func TestSettings(t *testing.T) {
	tests := map[string]struct {
		options limit.Options
		fine    bool
	}{
		"defaults":         {limit.Options{}, true},
		"own budget":       {limit.Options{Strangers: limit.Budgets{Address: limit.Budget{Limit: 3, Period: time.Minute}}}, true},
		"negative limit":   {limit.Options{Strangers: limit.Budgets{Address: limit.Budget{Limit: -1, Period: time.Minute}}}, false},
		"no period":        {limit.Options{Known: limit.Budgets{Gateway: limit.Budget{Limit: 5}}}, false},
		"for ever":         {limit.Options{Known: limit.Budgets{Practice: limit.Budget{Limit: 5, Period: 10_000 * time.Hour}}}, false},
		"locked for good":  {limit.Options{Password: limit.Backoff{Free: 5, First: time.Second, Max: 100 * time.Hour, Forget: 100 * time.Hour}}, false},
		"no free attempt":  {limit.Options{TOTP: limit.Backoff{First: time.Second, Max: time.Minute, Forget: time.Hour}}, false},
		"negative memory":  {limit.Options{Capacity: -1}, false},
		"wait over memory": {limit.Options{TOTP: limit.Backoff{Free: 1, First: time.Second, Max: time.Hour, Forget: time.Minute}}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.options.Validate(); (err == nil) != tt.fine {
				t.Errorf("Validate() = %v, want fine = %v", err, tt.fine)
			}
			tt.options.Now = newClock().Now
			l := limit.New(tt.options)
			if got := allowed(t, l, 1000, func(n int) limit.Attempt { return attempt(n) }); got > 400 || got == 0 {
				t.Errorf("%d of 1000 attempts passed", got)
			}
		})
	}
}

// allowed takes n attempts one after the other and counts those allowed.
func allowed(t *testing.T, l *limit.Limiter, n int, a func(n int) limit.Attempt) int {
	t.Helper()
	passed := 0
	for i := range n {
		if l.Take(t.Context(), a(i)).Allowed() {
			passed++
		}
	}
	return passed
}

func BenchmarkTake(b *testing.B) {
	l := limit.New(limit.Options{})
	for i := 0; b.Loop(); i++ {
		a := from(attempt(i), i)
		l.Take(context.Background(), a)
		l.Succeeded(context.Background(), a)
	}
}
