package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"clinicgate/policy"
	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/seed"
	"clinicgate/tests/bench/stage"
)

// decideReport is what the two steps cost that every request takes, inside this program.
type decideReport struct {
	Steps []step `json:"steps"`
}

type step struct {
	Name   string  `json:"name"`
	NS     float64 `json:"ns"`
	Allocs int64   `json:"allocs"`
	Bytes  int64   `json:"bytes"`
}

// Table shows a row for each step.
func (r decideReport) Table() measure.Table {
	t := measure.Table{Title: "Steps of a decision", Head: []string{"", "ns", "allocations", "bytes"}}
	for _, s := range r.Steps {
		t.Add(s.Name, fmt.Sprintf("%.0f", s.NS), fmt.Sprint(s.Allocs), fmt.Sprint(s.Bytes))
	}
	return t
}

// run adds the figures of one step.
func (r *decideReport) run(name string, f func(b *testing.B)) {
	result := testing.Benchmark(f)
	r.Steps = append(r.Steps, step{name, math.Round(float64(result.T.Nanoseconds())*10/float64(max(1, result.N))) / 10, result.AllocsPerOp(), result.AllocedBytesPerOp()})
}

// runDecide measures policy.Decide on the harbour practice and on one with many rules, and the session look-up.
func runDecide(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	doc, err := seed.Harbour("127.0.0.1:9000", stage.Host)
	if err != nil {
		return nil, err
	}
	var r decideReport
	if err := r.decisions(doc); err != nil {
		return nil, err
	}
	return r, r.lookups(ctx, filepath.Join(s.Dir, "state"), doc)
}

// decisions measures policy.Decide.
func (r *decideReport) decisions(doc policy.Document) error {
	now := time.Now()
	person := &policy.Subject{UserID: "u", Roles: []string{stage.Role}, Level: policy.AAL2, HasSecondFactor: true,
		ProvedAt: [4]time.Time{policy.AAL1: now, policy.AAL2: now}}
	client := netip.MustParseAddr("127.0.0.1")
	many := doc
	many.Access = nil
	for k := range 100 {
		many.Access = append(many.Access, policy.AccessRule{Path: fmt.Sprintf("/area-%03d/*", k), Roles: []string{stage.Role}})
	}
	for _, row := range []struct {
		name    string
		doc     policy.Document
		subject *policy.Subject
		request policy.Request
	}{
		{"decide: signed in", doc, person, policy.Request{Method: "GET", Path: "/patients/1"}},
		{"decide: step-up rule", doc, person, policy.Request{Method: "POST", Path: "/prescriptions/1"}},
		{"decide: nobody", doc, nil, policy.Request{Method: "GET", Path: "/patients/1"}},
		{"decide: last of 100 rules", many, person, policy.Request{Method: "GET", Path: "/area-099/1"}},
	} {
		p, err := policy.Compile(row.doc, policy.Platform{})
		if err != nil {
			return err
		}
		row.request.Client, row.request.Now = client, now
		if p.Decide(row.subject, row.request).Allowed() == (row.subject == nil) {
			return fmt.Errorf("%s: not the decision that was to be measured", row.name)
		}
		r.run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(row.subject, row.request)
			}
		})
	}
	return nil
}

// lookups measures the session cache: hits, by one and by all processors, and a cookie of nobody.
func (r *decideReport) lookups(ctx context.Context, dir string, doc policy.Document) (err error) {
	i, err := seed.Create(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = i.Close() }()
	if err := i.Apply(ctx, []policy.Document{doc}, func(int) {}); err != nil {
		return err
	}
	people, err := i.People(ctx, doc.Practice, stage.Role, 10)
	if err != nil {
		return err
	}
	cookies, err := i.Sessions(ctx, doc.Practice, people, 1000, func(int) {})
	if err != nil {
		return err
	}
	limits, err := seed.Limits(doc, policy.Platform{})
	if err != nil {
		return err
	}
	sessions := i.Core().Sessions
	for _, cookie := range cookies {
		if _, err := sessions.Lookup(ctx, limits, cookie); err != nil {
			return err
		}
	}
	r.run("session look-up: cached", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			_, _ = sessions.Lookup(ctx, limits, cookies[n%len(cookies)])
		}
	})
	r.run("session look-up: cached, in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				_, _ = sessions.Lookup(ctx, limits, cookies[n%len(cookies)])
			}
		})
	})
	unknown, err := sessions.NewToken(ctx, limits.ID)
	if err != nil {
		return err
	}
	stranger := unknown.Reveal()
	r.run("session look-up: nobody's cookie", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = sessions.Lookup(ctx, limits, stranger)
		}
	})
	return nil
}
