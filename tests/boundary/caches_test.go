package boundary_test

import (
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// TestAnswersToAPersonAreNobodyElses: what a backend answers to somebody signed in is
// kept by no cache that others share, and where the backend says nothing their browser
// asks again: after the sign-out the next person at the workstation does not see it.
func TestAnswersToAPersonAreNobodyElses(t *testing.T) {
	backend := rig.NewBackend(t)
	seeded := rig.Seed(t, rig.Document(t, "acacia", "127.0.0.1:9000", backend.Addr))
	cookie := seeded.Cookie(t, "acacia", "clinician")
	gate := seeded.Run(t, rig.Config{})
	for name, c := range map[string]struct{ said, person, nobody string }{
		"nothing":                {"", "private, no-cache", ""},
		"a date of change":       {"Last-Modified: Mon, 01 Jun 2026 00:00:00 GMT\n", "private, no-cache", ""},
		"an age":                 {"Cache-Control: max-age=60\n", "max-age=60, private", "max-age=60"},
		"public":                 {"Cache-Control: public\nCache-Control: s-maxage=9\n", "public, s-maxage=9, private", "public,s-maxage=9"},
		"private":                {"Cache-Control: Private, max-age=60\n", "Private, max-age=60", "Private, max-age=60"},
		"not to be kept":         {"Cache-Control: no-store\n", "no-store", "no-store"},
		"anything, for a day":    {"Cache-Control: immutable, max-age=86400\n", "immutable, max-age=86400, private", "immutable, max-age=86400"},
		"only what it varies by": {"Vary: Accept\n", "private, no-cache", ""},
	} {
		text := strings.ReplaceAll("HTTP/1.1 200 OK\n"+c.said+"Content-Length: 2\nConnection: close\n\nok", "\n", "\r\n")
		for who, want := range map[string]string{cookie: c.person, "": c.nobody} {
			for _, protocol := range protocols {
				t.Run(protocol+" "+name, func(t *testing.T) {
					backend.Answers("/booking/x", text)
					backend.Answers("/chart", text)
					target := "/booking/x"
					if who != "" {
						target = "/chart"
					}
					answer := rig.Send(t, gate, rig.Request{Protocol: protocol, Host: rig.Host(gate, "acacia"), Target: target, Cookie: who})
					if got := strings.Join(answer.Header["Cache-Control"], ","); answer.Status != 200 || got != want {
						t.Errorf("%d %q, want %q", answer.Status, got, want)
					}
				})
			}
		}
	}
}
