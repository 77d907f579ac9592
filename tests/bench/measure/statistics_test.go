package measure_test

import (
	"bytes"
	"math"
	"testing"

	"clinicgate/tests/bench/measure"

	"github.com/google/go-cmp/cmp"
)

func TestSummary(t *testing.T) {
	rows := []struct {
		name   string
		values []float64
		want   measure.Summary
	}{
		{"one", []float64{2}, measure.Summary{Median: 2, Low: 2, High: 2, Min: 2, Max: 2, Rounds: 1}},
		{"odd", []float64{9, 1, 2}, measure.Summary{Median: 2, Low: 1, High: 9, Min: 1, Max: 9, Rounds: 3}},
		{"even", []float64{4, 1, 2, 100}, measure.Summary{Median: 3, Low: 1, High: 100, Min: 1, Max: 100, Rounds: 4}},
	}
	for _, row := range rows {
		if diff := cmp.Diff(row.want, measure.Summarise(row.values)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

func TestSummaryKnowsHowSureTheMedianIs(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(i + 1)
	}
	// 50 ± 9.8 of 100 in order: the 41st and the 61st
	want := measure.Summary{Median: 50.5, Low: 41, High: 61, Min: 1, Max: 100, Rounds: 100}
	if diff := cmp.Diff(want, measure.Summarise(values)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSummaryOfNothingPassesNoLimit(t *testing.T) {
	if got := measure.Summarise(nil).Median; got <= 1.05 || got > 1.05 || !math.IsNaN(got) {
		t.Errorf("got %v, want NaN", got)
	}
}

func TestRatiosArePairedByRound(t *testing.T) {
	got := measure.Ratios([]float64{2, 30, 4}, []float64{1, 10})
	if diff := cmp.Diff([]float64{2, 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableAligns(t *testing.T) {
	table := measure.Table{Title: "Title", Head: []string{"", "µs"}, Notes: []string{"a note"}}
	table.Add("HTTP/1.1", "12.3")
	table.Add("h2", "1.0")
	var b bytes.Buffer
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "Title\n              µs\n  HTTP/1.1  12.3\n  h2         1.0\n  a note\n\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
