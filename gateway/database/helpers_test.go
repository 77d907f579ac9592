package database_test

import "clinicgate/policy"

// policyID names a practice without the check that every reader of outside input makes.
func policyID(s string) policy.PracticeID { return policy.PracticeID(s) }
