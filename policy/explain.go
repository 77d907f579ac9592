package policy

import (
	"fmt"
	"strings"
	"time"
)

// Explanation is a decision with the steps that led to it.
type Explanation struct {
	Practice   PracticeID `json:"practice,omitempty"`
	Verdict    Verdict    `json:"verdict"`
	Reason     Reason     `json:"reason"`
	Sentence   string     `json:"sentence"`
	Rule       string     `json:"rule,omitempty"`
	Need       Level      `json:"need,omitempty"`
	MaxAge     Duration   `json:"max_age,omitempty"`
	Public     bool       `json:"public,omitempty"`
	WouldStop  Reason     `json:"would_stop,omitempty"`
	GraceUntil *time.Time `json:"grace_until,omitempty"`
	Steps      []Step     `json:"steps"`

	decision Decision
}

// Explain is Decide with its reasons: the same walk, written down. Explain(s, r).Decision() is always Decide(s, r).
func (p *Policy) Explain(s *Subject, r Request) Explanation {
	t := &trace{steps: []Step{}}
	d := p.walk(s, &r, asRequested, t)
	e := Explanation{
		Verdict: d.Verdict(), Reason: d.Reason(), Sentence: d.Reason().Sentence(), Rule: d.Rule(), Need: d.Need(),
		MaxAge: Duration(d.MaxAge()), Public: d.Public(), WouldStop: d.WouldStop(), Steps: t.steps, decision: d,
	}
	if p != nil {
		e.Practice = p.doc.Practice
	}
	if until := d.GraceUntil(); !until.IsZero() {
		e.GraceUntil = &until
	}
	return e
}

// Decision is the decision explained.
func (e Explanation) Decision() Decision { return e.decision }

// String is the explanation as text for a terminal: the answer first, then a line a step.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n", e.Verdict, e.Reason, e.Sentence)
	if e.WouldStop != "" {
		fmt.Fprintf(&b, "A rule in stage report would have stopped it (%s): %s\n", e.WouldStop, e.WouldStop.Sentence())
	}
	for _, step := range e.Steps {
		fmt.Fprintf(&b, "  %-4s  %s: %s\n", step.Result, step.Rule, step.Text)
	}
	return b.String()
}
