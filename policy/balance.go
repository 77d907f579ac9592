package policy

import "time"

// demand is one thing a policy wants proved: a level, and how fresh (0: of any age).
type demand struct {
	rule   string
	level  Level
	maxAge time.Duration
}

// maxSkew is how far ahead of ours another node's clock may be. A proof dated later than that was not made by an honest
// clock and does not count as fresh.
const maxSkew = time.Minute

// balance weighs the demands on one request against what its subject has proved.
type balance struct {
	subject *Subject
	now     time.Time

	need   Level         // the highest level in force
	maxAge time.Duration // the shortest age in force; 0: none

	unmet     verdictFor // what to ask of the person next; zero: nothing
	wouldStop Reason
	graceEnds time.Time
}

// verdictFor is an unmet demand and what to do about it.
type verdictFor struct {
	verdict Verdict
	reason  Reason
	demand  demand
}

// signedIn wants a named person with a level there is.
func (b *balance) signedIn() bool {
	s := b.subject
	return s != nil && s.UserID != "" && s.Level >= AAL1 && s.Level <= AAL2PR
}

// staged weighs a demand that its stage may hold back.
func (b *balance) staged(d demand, g *staged, t *trace) {
	switch g.stage {
	case Off:
		t.off(d)
		return
	case Report:
		gap := b.judge(d)
		if b.wouldStop == "" {
			b.wouldStop = gap.reason
		}
		t.reported(d, gap.reason)
		return
	case Grace:
		if end := g.end(b.ownGrace()); b.now.Before(end) {
			met := b.judge(d).verdict == Allow
			if !met && (b.graceEnds.IsZero() || end.Before(b.graceEnds)) {
				b.graceEnds = end
			}
			t.grace(d, end, met)
			return
		}
	}
	b.enforce(d, t) // enforced, a grace that is over, and whatever is no stage
}

func (b *balance) ownGrace() time.Time {
	if b.subject == nil {
		return time.Time{}
	}
	return b.subject.GraceUntil
}

// enforce weighs a demand that is in force.
func (b *balance) enforce(d demand, t *trace) {
	b.need = max(b.need, d.level)
	if d.maxAge > 0 && (b.maxAge == 0 || d.maxAge < b.maxAge) {
		b.maxAge = d.maxAge
	}
	gap := b.judge(d)
	if gap.verdict != Allow && b.unmet.yieldsTo(gap) {
		b.unmet = gap
	}
	t.demand(b, gap)
}

// yieldsTo chooses what to ask first. Proving a factor the person has goes before setting up one they lack, because
// setting one up needs the strongest proof they can give (THREATS F4); of two proofs the stronger serves for both.
func (v verdictFor) yieldsTo(w verdictFor) bool {
	if v.verdict == Deny {
		return true
	}
	if v.verdict != w.verdict {
		return w.verdict == StepUp
	}
	return w.demand.level > v.demand.level
}

// judge compares one demand with the subject. Allow means met.
func (b *balance) judge(d demand) verdictFor {
	s := b.subject
	gap := verdictFor{demand: d, verdict: Allow}
	switch {
	case !b.signedIn():
		gap.verdict, gap.reason = SignIn, ReasonSignInNeeded
	case d.level >= AAL2PR && !s.HasPhishingResistant:
		gap.verdict, gap.reason = Enrol, ReasonEnrolPhishing
	case d.level == AAL2 && !s.HasSecondFactor && !s.HasPhishingResistant:
		gap.verdict, gap.reason = Enrol, ReasonEnrolSecondFactor
	case s.Level < d.level:
		gap.verdict, gap.reason = StepUp, levelReason(d.rule)
	case d.maxAge > 0 && !b.fresh(d):
		gap.verdict, gap.reason = StepUp, ReasonStepUpAge
	}
	return gap
}

func levelReason(rule string) Reason {
	switch rule {
	case ruleSecondFactor:
		return ReasonSecondFactor
	case rulePhishing:
		return ReasonPhishing
	}
	return ReasonStepUpLevel
}

// fresh says whether the demanded level, or a higher one, was proved within the demanded age. A proof dated ahead of the
// clock does not hide an honest one.
func (b *balance) fresh(d demand) bool {
	for l := d.level; l >= AAL1 && l <= AAL2PR; l++ {
		at := b.subject.ProvedAt[l]
		if age := b.now.Sub(at); !at.IsZero() && age <= d.maxAge && age >= -maxSkew {
			return true
		}
	}
	return false
}

// provedAt is when level l or a higher one was last proved.
func (b *balance) provedAt(l Level) (last time.Time) {
	for ; l >= AAL1 && l <= AAL2PR; l++ {
		if at := b.subject.ProvedAt[l]; at.After(last) {
			last = at
		}
	}
	return last
}

// decision is what the scales say about a signed-in person with the right roles.
func (b *balance) decision(rule *accessRule) Decision {
	if b.unmet.verdict != Deny {
		return Decision{verdict: b.unmet.verdict, reason: b.unmet.reason, need: b.unmet.demand.level, maxAge: b.maxAge,
			rule: b.unmet.demand.rule}
	}
	d := Decision{verdict: Allow, reason: ReasonSignedIn, need: max(AAL1, b.need), maxAge: b.maxAge,
		wouldStop: b.wouldStop, graceUntil: b.graceEnds}
	if !b.graceEnds.IsZero() {
		d.reason = ReasonGrace
	}
	if rule != nil {
		d.rule = rule.name
	}
	return d
}
