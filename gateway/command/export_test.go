package command

import (
	"io"
	"strings"
	"time"

	"clinicgate/gateway/directory"
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

// CheckOwner is checkOwner.
var CheckOwner = checkOwner

// Instant is instant, for a practice without a usable policy.
func Instant(s string, now time.Time) (time.Time, error) {
	return instant("since", s, &directory.Practice{}, now)
}

// Judge reads figures and decides.
func Judge(figures string) error {
	found, err := readFigures(strings.NewReader(figures))
	if err == nil {
		_, err = judge(found, "socket")
	}
	return err
}
