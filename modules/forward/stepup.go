package forward

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"clinicgate/modules/answer"
	"clinicgate/policy"
)

// challenge is a backend's request for a stronger or fresher sign-in (RFC 9470).
type challenge struct {
	level  policy.Level
	maxAge time.Duration // 0: none asked for, or none that can be read
}

// stepUpChallenge recognises `401` with `WWW-Authenticate: Bearer
// error="insufficient_user_authentication"`. The backend speaks to the gateway
// with it, so the browser never sees it.
func stepUpChallenge(res *http.Response) (challenge, bool) {
	if res.StatusCode != http.StatusUnauthorized {
		return challenge{}, false
	}
	for _, value := range res.Header["Www-Authenticate"] {
		params := challengeParams(value)
		if params["error"] != "insufficient_user_authentication" {
			continue
		}
		c := challenge{level: lowest(params["acr_values"])}
		if age, err := strconv.ParseInt(params["max_age"], 10, 32); err == nil && age > 0 {
			c.maxAge = time.Duration(age) * time.Second
		}
		return c, true
	}
	return challenge{}, false
}

// challengeParams reads the parameters of one challenge (RFC 9110 section 11.2).
// It is bounded by the header limit of the transport.
func challengeParams(value string) map[string]string {
	_, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	params := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		params[strings.ToLower(name)] = strings.Trim(v, `"`)
	}
	return params
}

// lowest is the lowest level of a list, each of which would do for the backend
// (RFC 9470 section 3). A list that names none that is known asks for a second factor.
func lowest(acrValues string) policy.Level {
	least := policy.LevelNone
	for name := range strings.FieldsSeq(acrValues) {
		if level, err := policy.ParseLevel(name); err == nil && level >= policy.AAL1 && (least == policy.LevelNone || level < least) {
			least = level
		}
	}
	if least == policy.LevelNone {
		return policy.AAL2
	}
	return least
}

// refusal is what the person is asked for: the proof that the backend wants, or a plain
// no where no proof would change its mind. Sent to prove what they have just proved, or
// what nobody can prove yet, the browser would go round in circles for ever.
func (c challenge) refusal(s *policy.Subject, now time.Time) (*answer.Refusal, func(*http.Request) string) {
	switch {
	case c.level > policy.AAL2 || c.met(s, now):
		return answer.Denied, nil
	case c.level == policy.AAL2 && !s.HasSecondFactor:
		return answer.EnrolNeeded, answer.EnrolURL
	case !s.HasSecondFactor:
		return answer.PasswordNeeded, answer.PasswordURL
	}
	return answer.StepUpNeeded, answer.StepUpURL
}

// met reports whether the session has been at the level, or a higher one, recently
// enough already.
func (c challenge) met(s *policy.Subject, now time.Time) bool {
	if c.maxAge == 0 {
		return s.Level >= c.level
	}
	for _, at := range s.ProvedAt[c.level:] {
		if !at.IsZero() && now.Sub(at) <= c.maxAge {
			return true
		}
	}
	return false
}

// reason is the code for the audit log.
func (c challenge) reason() string {
	if c.maxAge > 0 {
		return string(policy.ReasonStepUpAge)
	}
	return string(policy.ReasonStepUpLevel)
}
