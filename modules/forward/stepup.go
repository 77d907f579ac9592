package forward

import (
	"net/http"
	"strconv"
	"strings"

	"clinicgate/policy"
)

// challenge is a backend's request for a stronger or fresher sign-in (RFC 9470).
type challenge struct {
	level  policy.Level
	maxAge int // seconds; 0: none asked for, or none that can be read
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
		c := challenge{level: policy.AAL2}
		if level, err := policy.ParseLevel(params["acr_values"]); err == nil {
			c.level = level
		}
		if age, err := strconv.Atoi(params["max_age"]); err == nil && age > 0 {
			c.maxAge = age
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

// reason is the code for the audit log.
func (c challenge) reason() string {
	if c.maxAge > 0 {
		return string(policy.ReasonStepUpAge)
	}
	return string(policy.ReasonStepUpLevel)
}
