package limit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ulule/limiter/v3"

	"clinicgate/gateway/limit"
)

// A flood of made-up accounts must neither fill the memory nor push out the
// account that is being attacked.
func TestMemoryIsBoundedAndKeepsWhatIsUnderAttack(t *testing.T) {
	const capacity = 1000
	rate := limiter.Rate{Limit: 10, Period: time.Hour}
	s := limit.NewMemoryStore(newClock().Now, capacity)
	for n := range 100_000 {
		if _, err := s.Increment(t.Context(), fmt.Sprintf("flood %d", n), 1, rate); err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			s.Increment(t.Context(), "victim", 1, rate)
		}
	}
	if held := limit.KeysHeld(s); held > capacity {
		t.Errorf("the store holds %d keys, want at most %d", held, capacity)
	}
	if c, _ := s.Peek(t.Context(), "victim", rate); !c.Reached {
		t.Errorf("the victim's failures were forgotten: %+v", c)
	}
}

func TestMemoryStore(t *testing.T) {
	type step struct {
		wait  time.Duration
		op    string
		want  int64 // attempts counted, of 3
		reach bool
	}
	rate := limiter.Rate{Limit: 3, Period: time.Minute}
	tests := map[string][]step{
		"counts to its limit":              {{0, "+", 1, false}, {0, "+", 2, false}, {0, "+", 3, false}, {0, "+", 3, true}},
		"looking counts nothing":           {{0, "?", 0, false}, {0, "+", 1, false}, {0, "?", 1, false}},
		"window from its first attempt":    {{0, "+", 1, false}, {59 * time.Second, "+", 2, false}, {time.Second, "+", 1, false}},
		"reset":                            {{0, "+", 1, false}, {0, "0", 0, false}, {0, "+", 1, false}},
		"giving back":                      {{0, "+", 1, false}, {0, "+", 2, false}, {0, "-", 1, false}},
		"nothing to give back":             {{0, "-", 0, false}, {0, "+", 1, false}},
		"giving back opens no window":      {{0, "-", 0, false}, {30 * time.Second, "+", 1, false}, {31 * time.Second, "+", 2, false}},
		"never below zero":                 {{0, "+", 1, false}, {0, "-", 0, false}, {0, "-", 0, false}, {0, "+", 1, false}},
		"giving back to a window that was": {{0, "+", 1, false}, {time.Minute, "-", 0, false}, {0, "+", 1, false}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := limit.NewMemoryStore(c.Now, 100)
			for i, st := range steps {
				c.Advance(st.wait)
				got, err := map[string]func() (limiter.Context, error){
					"+": func() (limiter.Context, error) { return s.Get(t.Context(), "k", rate) },
					"-": func() (limiter.Context, error) { return s.Increment(t.Context(), "k", -1, rate) },
					"?": func() (limiter.Context, error) { return s.Peek(t.Context(), "k", rate) },
					"0": func() (limiter.Context, error) { return s.Reset(t.Context(), "k", rate) },
				}[st.op]()
				if err != nil || got.Limit-got.Remaining != st.want || got.Reached != st.reach {
					t.Errorf("step %d %s: got %+v, %v; want %d counted, reached %v", i, st.op, got, err, st.want, st.reach)
				}
				if left := time.Unix(got.Reset, 0).Sub(c.Now()); left <= 0 || left > time.Minute {
					t.Errorf("step %d %s: the window ends in %v", i, st.op, left)
				}
			}
		})
	}
}
