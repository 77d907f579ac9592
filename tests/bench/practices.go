package main

import (
	"context"
	"fmt"
	"os"

	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/seed"
	"clinicgate/tests/bench/stage"
)

// practicesReport shows whether cost grows with the practices.
type practicesReport struct {
	Sizes []size `json:"sizes"`
}

// Table shows a row for each size.
func (r practicesReport) Table() measure.Table {
	t := measure.Table{Title: "Growth with practices", Head: head}
	for _, s := range r.Sizes {
		t.Add(s.cells("practices")...)
	}
	return t
}

func runPractices(ctx context.Context, b *bench) (report, error) {
	rows, err := grow(ctx, b, []int{10, 1_000, 10_000}, growth.practices)
	return practicesReport{rows}, err
}

// practices fills an installation with n practices, one of which is used.
func (g growth) practices(ctx context.Context, n int) (size, error) {
	row := size{Count: n}
	var cookies []string
	files, err := g.stage.Fill(ctx, fmt.Sprintf("practices-%d", n), func(i *seed.Installation) error {
		doc, err := seed.Harbour(g.backend.Addr, stage.Host)
		if err != nil {
			return err
		}
		docs := append(seed.Practices(doc, n-1, ".bench.localhost"), doc)
		if err := i.Apply(ctx, docs, func(done int) { g.bench.say("%d of %d practices", done, n) }); err != nil {
			return err
		}
		people, err := i.People(ctx, doc.Practice, stage.Role, 1)
		if err != nil {
			return err
		}
		cookies, err = i.Sessions(ctx, doc.Practice, people, 1, func(int) {})
		return err
	})
	if err != nil {
		return row, err
	}
	defer func() { _ = os.RemoveAll(files.State) }()
	gate, err := g.start(ctx, files, &row)
	if err != nil {
		return row, err
	}
	defer func() { _ = gate.Stop() }()
	c, err := g.weigh(ctx, contender{process: gate, header: []string{"Cookie: __Host-gate=" + cookies[0]}})
	row.set(c)
	return row, err
}
