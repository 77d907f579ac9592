package audit_test

import (
	"fmt"
	"testing"
)

// BenchmarkAppend: many callers share transactions, each of them synced to disk.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			w := newBench(b)
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := w.log.Append(b.Context(), harbour, event("x")); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkNoteRepeat: what a flood of refusals costs each request.
func BenchmarkNoteRepeat(b *testing.B) {
	w := newBench(b)
	e := refusal("no_session", "203.0.113.9")
	b.ReportAllocs()
	for b.Loop() {
		w.log.Note(harbour, e)
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newBench(b)
	const rows = 10_000
	w.addMany(rows)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := w.log.Verify(b.Context(), harbour, nil); err != nil || !r.Intact {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
