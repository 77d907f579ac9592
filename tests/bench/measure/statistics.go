package measure

import (
	"math"
	"slices"
)

// Summary is what rounds come down to.
type Summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // the median lies between Low
	High   float64 `json:"high"` // and High with 95 % confidence
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

// Summarise takes the median, so that a disturbed round moves nothing, and its confidence interval from the order of
// the values, which assumes nothing of how they are spread. Without values everything is NaN, which no comparison accepts.
func Summarise(values []float64) Summary {
	n := len(values)
	if n == 0 {
		nan := math.NaN()
		return Summary{nan, nan, nan, nan, nan, 0}
	}
	sorted := slices.Sorted(slices.Values(values))
	// Of n values, how many lie below the median is binomial with a half: 1.96 standard deviations are 0.98·√n.
	away := 0.98 * math.Sqrt(float64(n))
	low := max(0, int(math.Floor(float64(n)/2-away)))
	high := min(n-1, int(math.Ceil(float64(n)/2+away)))
	return Summary{Quantile(sorted, 0.5), sorted[low], sorted[high], sorted[0], sorted[n-1], n}
}

// Round gives every figure three decimals.
func (s Summary) Round() Summary {
	return Summary{Round3(s.Median), Round3(s.Low), Round3(s.High), Round3(s.Min), Round3(s.Max), s.Rounds}
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
