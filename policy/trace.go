package policy

import (
	"fmt"
	"strings"
	"time"
)

// Step is one thing a walk looked at, in the order it was looked at.
type Step struct {
	Rule   string `json:"rule"`   // the part of the policy, as the document writes it; or "gateway", "subject"
	Result string `json:"result"` // pass, stop, or note: it decided nothing
	Text   string `json:"text"`   // what was found, for people
}

const (
	stepPass = "pass"
	stepStop = "stop"
	stepNote = "note"
)

// trace writes down the steps of a walk. A nil trace writes nothing and costs nothing, so that Decide and Explain can
// share the walk: no method of it may influence the walk.
type trace struct{ steps []Step }

func (t *trace) add(rule, result, text string) {
	t.steps = append(t.steps, Step{Rule: rule, Result: result, Text: text})
}

func (t *trace) admit(p *Policy, r *Request, refused Reason) {
	if t == nil {
		return
	}
	switch refused {
	case "":
		t.add("gateway", stepPass, "The path is canonical and the method is forwarded.")
		if len(p.prefixes) == 0 {
			t.add("network.allow", stepNote, "Every network may reach the practice.")
			return
		}
		t.add("network.allow", stepPass, fmt.Sprintf("The client %s is inside the practice's networks.", r.Client))
	case ReasonNetworkOutside:
		t.add("network.allow", stepStop, fmt.Sprintf("The client %s is in none of %s.", r.Client,
			strings.Join(p.doc.Network.Allow, ", ")))
	default:
		t.add("gateway", stepStop, refused.Sentence())
	}
}

func (t *trace) open(rule *accessRule) {
	if t != nil {
		t.add(rule.name, stepPass, "The path is public: nobody is asked who they are.")
	}
}

func (t *trace) subject(s *Subject) {
	switch {
	case t == nil:
	case s == nil:
		t.add("subject", stepStop, "Nobody is signed in.")
	default:
		t.add("subject", stepPass, fmt.Sprintf("%s is signed in at %s with the roles [%s].", s.UserID, s.Level,
			strings.Join(s.Roles, ", ")))
	}
}

func (t *trace) role(rule string, roles []string, held bool) {
	if t == nil {
		return
	}
	if held {
		t.add(rule, stepPass, "The person holds one of the roles ["+strings.Join(roles, ", ")+"].")
		return
	}
	t.add(rule, stepStop, "The person holds none of the roles ["+strings.Join(roles, ", ")+"].")
}

func (t *trace) off(d demand) {
	if t != nil {
		t.add(d.rule, stepNote, "The rule is off.")
	}
}

func (t *trace) reported(d demand, would Reason) {
	switch {
	case t == nil:
	case would == "":
		t.add(d.rule, stepNote, fmt.Sprintf("The rule asks for %s and would be met; it only reports.", d.level))
	default:
		t.add(d.rule, stepNote, fmt.Sprintf("The rule only reports. It would stop this: %s", would.Sentence()))
	}
}

func (t *trace) grace(d demand, end time.Time, met bool) {
	switch {
	case t == nil:
	case met:
		t.add(d.rule, stepPass, fmt.Sprintf("The rule asks for %s, which is met before the grace period ends.", d.level))
	default:
		t.add(d.rule, stepNote, fmt.Sprintf("The rule will ask for %s; the person's grace period runs until %s.", d.level,
			end.UTC().Format(time.RFC3339)))
	}
}

func (t *trace) demand(b *balance, gap verdictFor) {
	if t == nil {
		return
	}
	want := "The rule asks for " + gap.demand.level.String()
	if gap.demand.maxAge > 0 {
		want += " proved in the last " + Duration(gap.demand.maxAge).String()
	}
	if gap.verdict == Allow {
		t.add(gap.demand.rule, stepPass, want+", which is met.")
		return
	}
	text := want + ". " + gap.reason.Sentence()
	if gap.reason == ReasonStepUpAge {
		text += " " + b.lastProof(gap.demand.level)
	}
	t.add(gap.demand.rule, stepStop, text)
}

func (b *balance) lastProof(l Level) string {
	at := b.provedAt(l)
	if at.IsZero() {
		return "It was never given in this session."
	}
	return fmt.Sprintf("It was given at %s, %s before this request.", at.UTC().Format(time.RFC3339),
		Duration(b.now.Sub(at).Round(time.Second)))
}
