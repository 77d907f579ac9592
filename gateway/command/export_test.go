package command

import (
	"io"
	"time"
)

// Progress makes a progress that writes to w by a clock of the test's.
func Progress(w io.Writer, now func() time.Time) (at func(done, total int64), end func()) {
	p := &progress{label: "Working", w: w, now: now, begun: now()}
	return p.at, p.end
}

// DecodeCases is decodeCases.
func DecodeCases(data []byte) (int, error) {
	questions, err := decodeCases("cases.yaml", data)
	return len(questions), err
}
