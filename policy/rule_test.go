package policy_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"clinicgate/policy"
)

// TestNarrowingRulesHoldInEveryLetterCaseOfAnyBackend is THREATS P1: a backend that
// ignores letter case does it one character at a time (Java, Go, Windows), by upper or
// by lower case, or drops what cannot be seen. Whatever it takes for "/billing" the
// rule of "/billing" covers.
func TestNarrowingRulesHoldInEveryLetterCaseOfAnyBackend(t *testing.T) {
	p := compile(t, func(d *policy.Document) {
		d.Access = []policy.AccessRule{{Path: "/abcdefghijklmnopqrstuvwxyz/*", Roles: []string{"billing"}}}
	})
	const rule = "abcdefghijklmnopqrstuvwxyz"
	try := func(spelling string) {
		t.Helper()
		for _, path := range []string{"/" + spelling, "/" + spelling + "/7"} {
			if d := p.Decide(person(policy.AAL2, "clinician"), request("GET", path)); d.Allowed() {
				t.Errorf("%+q passes the rule for /%s/*", path, rule)
			}
		}
	}
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		for _, plain := range []rune{unicode.ToLower(r), unicode.ToLower(unicode.ToUpper(r)), unicode.ToLower(unicode.ToTitle(r))} {
			if i := strings.IndexRune(rule, plain); i >= 0 {
				try(strings.Replace(rule, string(plain), string(r), 1))
			}
		}
		if unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
			try(rule[:5] + string(r) + rule[5:])
			try(rule + string(r))
		}
	}
}
