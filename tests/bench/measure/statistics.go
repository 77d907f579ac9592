package measure

import (
	"math"
	"slices"
)

// Summary is what rounds come down to.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

// Spread is the distance from Min to Max in parts of the median.
func (s Summary) Spread() float64 { return (s.Max - s.Min) / s.Median }

// Summarise takes the median, so that one disturbed round moves nothing. Without values everything is NaN, which
// no comparison accepts.
func Summarise(values []float64) Summary {
	nan := math.NaN()
	if len(values) == 0 {
		return Summary{nan, nan, nan, 0}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Summary{Median: Quantile(sorted, 0.5), Min: sorted[0], Max: sorted[len(sorted)-1], Rounds: len(sorted)}
}

// Quantile of sorted values, interpolated; q from 0 to 1.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Ratios divides position by position: each round's own pair, so that what disturbs both cancels out.
func Ratios(above, below []float64) []float64 {
	ratios := make([]float64, min(len(above), len(below)))
	for i := range ratios {
		ratios[i] = above[i] / below[i]
	}
	return ratios
}

// Round3 rounds to three decimals, for reports.
func Round3(v float64) float64 { return math.Round(v*1000) / 1000 }
