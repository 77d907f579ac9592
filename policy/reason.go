package policy

// Reason is why a decision came out as it did: a stable code for programs, logs and audit records. Codes are never
// renamed and never reused; the sentence is for people and may change.
type Reason string

const (
	ReasonUndecided         Reason = "undecided"
	ReasonNoPolicy          Reason = "no_policy"
	ReasonTimeMissing       Reason = "time_missing"
	ReasonPathRefused       Reason = "path_refused"
	ReasonPathReserved      Reason = "path_reserved"
	ReasonMethodRefused     Reason = "method_refused"
	ReasonNetworkOutside    Reason = "network_outside"
	ReasonPublic            Reason = "public"
	ReasonSignInNeeded      Reason = "sign_in_needed"
	ReasonRoleMissing       Reason = "role_missing"
	ReasonRuleRoleMissing   Reason = "rule_role_missing"
	ReasonEnrolSecondFactor Reason = "enrol_second_factor"
	ReasonEnrolPhishing     Reason = "enrol_phishing_resistant"
	ReasonSecondFactor      Reason = "second_factor_needed"
	ReasonPhishing          Reason = "phishing_resistant_needed"
	ReasonStepUpLevel       Reason = "step_up_level"
	ReasonStepUpAge         Reason = "step_up_age"
	ReasonSignedIn          Reason = "signed_in"
	ReasonGrace             Reason = "signed_in_in_grace"
)

// Sentence is the reason in words for people; unknown codes say so.
func (r Reason) Sentence() string {
	if s, ok := sentences[r]; ok {
		return s
	}
	return "No sentence is known for this reason."
}

var sentences = map[Reason]string{
	ReasonUndecided:         "Nothing was decided, so nothing is allowed.",
	ReasonNoPolicy:          "The practice has no policy in force, so nothing is allowed.",
	ReasonTimeMissing:       "The time of the request is unknown, so nothing is allowed.",
	ReasonPathRefused:       "The path is not in its canonical form, so no rule can be trusted to match it.",
	ReasonPathReserved:      "The path belongs to the gateway and is never forwarded.",
	ReasonMethodRefused:     "The method is not one that the gateway forwards.",
	ReasonNetworkOutside:    "The client's address is outside the practice's networks.",
	ReasonPublic:            "The path is open to everybody.",
	ReasonSignInNeeded:      "Nobody is signed in.",
	ReasonRoleMissing:       "The person holds none of the practice's roles.",
	ReasonRuleRoleMissing:   "The person holds none of the roles that this path is for.",
	ReasonEnrolSecondFactor: "A second factor is needed and the person has not set one up.",
	ReasonEnrolPhishing:     "A phishing-resistant factor is needed and the person has not set one up.",
	ReasonSecondFactor:      "A second factor is needed and was not used in this session.",
	ReasonPhishing:          "A phishing-resistant factor is needed and was not used in this session.",
	ReasonStepUpLevel:       "This path needs a stronger proof than this session holds.",
	ReasonStepUpAge:         "This path needs a fresh proof, and the last one is too old.",
	ReasonSignedIn:          "The person is signed in and the policy is met.",
	ReasonGrace:             "The person is signed in; a rule is not met yet, but its grace period is running.",
}

// Reasons lists every code, for documentation and tests.
func Reasons() []Reason {
	return []Reason{
		ReasonUndecided, ReasonNoPolicy, ReasonTimeMissing, ReasonPathRefused, ReasonPathReserved, ReasonMethodRefused,
		ReasonNetworkOutside, ReasonPublic, ReasonSignInNeeded, ReasonRoleMissing, ReasonRuleRoleMissing,
		ReasonEnrolSecondFactor, ReasonEnrolPhishing, ReasonSecondFactor, ReasonPhishing, ReasonStepUpLevel,
		ReasonStepUpAge, ReasonSignedIn, ReasonGrace,
	}
}
