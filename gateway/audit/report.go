package audit

import (
	"fmt"
	"slices"
	"time"

	"clinicgate/policy"
)

// Kind is what is wrong with a log. The codes are stable.
type Kind string

// The kinds.
const (
	Altered           Kind = "altered"            // a row is not what was recorded
	Missing           Kind = "missing"            // rows were removed
	Reordered         Kind = "reordered"          // a row stands in another's place
	Inserted          Kind = "inserted"           // a row that the log did not write
	Foreign           Kind = "foreign"            // a row of another practice
	TailCut           Kind = "tail_cut"           // the last rows were removed
	RolledBack        Kind = "rolled_back"        // the database is an older copy of itself
	Rewritten         Kind = "rewritten"          // rows were recomputed by somebody without the key
	CheckpointForged  Kind = "checkpoint_forged"  // a signed head or anchor is not what was signed
	CheckpointMissing Kind = "checkpoint_missing" // rows without a signed head
	KeyUnknown        Kind = "key_unknown"        // signed with a key the gateway does not have
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind Kind  `json:"kind"`
	Row  int64 `json:"row"`          // the first bad row
	To   int64 `json:"to,omitempty"` // the last, when it is more than one
	// Sentence says it to people.
	Sentence string `json:"sentence"`
}

// maxFindings bounds a report. The first are the ones that matter.
const maxFindings = 20

// Report is the outcome of a verification. The zero Report is not intact.
type Report struct {
	Practice policy.PracticeID `json:"practice"`
	Intact   bool              `json:"intact"`
	Rows     int64             `json:"rows"`           // rows read
	First    int64             `json:"first"`          // number of the first row there should be
	Last     int64             `json:"last"`           // number of the last row that is signed
	Pruned   int64             `json:"pruned"`         // rows that retention removed, as signed
	SignedAt time.Time         `json:"signed_at"`      // when the head was signed; zero = never
	Findings []Finding         `json:"findings"`       // in order of rows, at most 20
	More     int               `json:"more,omitempty"` // findings left out
	Warnings []string          `json:"warnings"`       // what is unusual and proves nothing
}

// FirstBad returns the finding about the first bad row; ok is false when there is none.
func (r Report) FirstBad() (f Finding, ok bool) {
	if len(r.Findings) == 0 {
		return Finding{}, false
	}
	return r.Findings[0], true
}

// String is the report in one sentence.
func (r Report) String() string {
	first, bad := r.FirstBad()
	switch {
	case !bad && !r.Intact:
		return fmt.Sprintf("The log of %s was not verified.", r.Practice)
	case bad:
		s := fmt.Sprintf("The log of %s is NOT intact. %s", r.Practice, first.Sentence)
		if n := len(r.Findings) - 1 + r.More; n > 0 {
			s += fmt.Sprintf(" There are %d more findings.", n)
		}
		return s
	case r.Last == 0:
		return fmt.Sprintf("The log of %s is empty.", r.Practice)
	}
	s := fmt.Sprintf("The log of %s is intact: rows %d to %d, signed at %s.", r.Practice, r.First, r.Last, r.SignedAt.Format(time.RFC3339))
	if r.Pruned > 0 {
		s += fmt.Sprintf(" %d older rows were removed by retention.", r.Pruned)
	}
	return s
}

// add keeps a finding, or counts it when there are enough.
func (r *Report) add(kind Kind, row, to int64, format string, args ...any) {
	if len(r.Findings) >= maxFindings {
		r.More++
		return
	}
	if to <= row {
		to = 0
	}
	r.Findings = append(r.Findings, Finding{kind, row, to, fmt.Sprintf(format, args...)})
}

// finish puts the findings in order and says whether there were any.
func (r *Report) finish() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return int(min(max(a.Row-b.Row, -1), 1)) })
	r.Intact = len(r.Findings) == 0
}

// rows names a range for a sentence.
func rows(from, to int64) string {
	if to <= from {
		return fmt.Sprintf("Row %d", from)
	}
	return fmt.Sprintf("Rows %d to %d", from, to)
}

// is is the verb that goes with rows.
func is(from, to int64, one, many string) string {
	if to <= from {
		return one
	}
	return many
}

var _ fmt.Stringer = Report{}
