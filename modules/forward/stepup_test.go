package forward_test

import (
	"testing"
	"time"

	"clinicgate/modules/answer"
	"clinicgate/modules/forward"
	"clinicgate/policy"
)

// TestStepUpThatCannotHelpIsRefused: who cannot give the backend more than it was given
// is told so, and not sent round in circles.
func TestStepUpThatCannotHelpIsRefused(t *testing.T) {
	now := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	password := &policy.Subject{UserID: "u", Level: policy.AAL1, ProvedAt: [4]time.Time{policy.AAL1: ago(time.Hour)}}
	enrolled := &policy.Subject{UserID: "u", Level: policy.AAL1, ProvedAt: [4]time.Time{policy.AAL1: ago(time.Hour)}, HasSecondFactor: true}
	code := &policy.Subject{UserID: "u", Level: policy.AAL2, HasSecondFactor: true,
		ProvedAt: [4]time.Time{policy.AAL1: ago(time.Hour), policy.AAL2: ago(time.Minute)}}
	for name, c := range map[string]struct {
		level   policy.Level
		maxAge  time.Duration
		subject *policy.Subject
		want    *answer.Refusal
	}{
		"second factor, none set up":            {policy.AAL2, 0, password, answer.EnrolNeeded},
		"second factor, not proved":             {policy.AAL2, 0, enrolled, answer.StepUpNeeded},
		"second factor, proved":                 {policy.AAL2, 0, code, answer.Denied},
		"second factor, proved too long ago":    {policy.AAL2, 59 * time.Second, code, answer.StepUpNeeded},
		"second factor, proved recently":        {policy.AAL2, time.Minute, code, answer.Denied},
		"what nobody can reach":                 {policy.AAL2PR, 0, code, answer.Denied},
		"what nobody can reach, fresh":          {policy.AAL2PR, time.Minute, enrolled, answer.Denied},
		"password again":                        {policy.AAL1, time.Minute, password, answer.PasswordNeeded},
		"password again, with a second factor":  {policy.AAL1, time.Minute, enrolled, answer.StepUpNeeded},
		"password again, the code was a moment": {policy.AAL1, 2 * time.Minute, code, answer.Denied},
		"password, which was typed":             {policy.AAL1, 0, password, answer.Denied},
		"password, typed recently":              {policy.AAL1, 2 * time.Hour, password, answer.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			got, address := forward.Refusal(c.level, c.maxAge, c.subject, now)
			if got != c.want || (address == nil) != (c.want == answer.Denied) {
				t.Errorf("got %q, with an address %t", got.Reason(), address != nil)
			}
		})
	}
}
