package policy

import "strings"

// Problem is one thing that is wrong with a document.
type Problem struct {
	Field  string `json:"field"`  // where: sign_in.second_factor.stage, access[2].path
	Reason string `json:"reason"` // what is wrong, for people
	Remedy string `json:"remedy"` // what to write instead; may be empty
}

// String is the problem on one line.
func (p Problem) String() string {
	s := p.Field + ": " + p.Reason
	if p.Remedy != "" {
		s += ": " + p.Remedy
	}
	return s
}

// Problems is all that is wrong with a document, as an error. It is never empty.
type Problems []Problem

// Error has one line a problem.
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}
