package policy

// Case is one request of one person, to be tried on two policies.
type Case struct {
	Name    string
	Subject *Subject // nil: nobody
	Request Request
}

// Outcome is what two policies say about one case.
type Outcome struct {
	Case     Case
	Old, New Decision
}

// Changed says whether the person would notice: another verdict, or another level or age to prove.
func (o Outcome) Changed() bool {
	return o.Old.verdict != o.New.verdict || o.Old.need != o.New.need || o.Old.maxAge != o.New.maxAge
}

// Widens says whether the new policy allows what the old one stopped.
func (o Outcome) Widens() bool { return o.New.Allowed() && !o.Old.Allowed() }

// Simulate tries every case on both policies, in order. A nil policy denies, so that the first version of a policy can be
// tried too.
func Simulate(old, next *Policy, cases []Case) []Outcome {
	out := make([]Outcome, len(cases))
	for i, c := range cases {
		out[i] = Outcome{Case: c, Old: old.Decide(c.Subject, c.Request), New: next.Decide(c.Subject, c.Request)}
	}
	return out
}
