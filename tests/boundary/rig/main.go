package rig

import (
	"fmt"
	"os"
	"testing"

	"clinicgate/tests/harness"
)

// Main runs a package's tests before one demo that they share.
func Main(m *testing.M, gate **harness.Gateway) int {
	state, err := os.MkdirTemp("", "attack-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(state)
	if *gate, err = harness.Launch(state); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer (*gate).Stop()
	return m.Run()
}

// Sessions signs accounts in, each once, and hands out the cookie's value.
type Sessions struct {
	cookies map[string]string
}

// Of is the session cookie of an account of a practice.
func (s *Sessions) Of(t testing.TB, g *harness.Gateway, practice, account string) string {
	t.Helper()
	key := g.Addr + " " + practice + " " + account
	if s.cookies[key] == "" {
		p := g.Practice(practice)
		b := g.Browser(t, "h1")
		b.SignIn(p, p.Account(account))
		if s.cookies == nil {
			s.cookies = map[string]string{}
		}
		s.cookies[key] = b.Cookie(p.URL, "__Host-gate")
	}
	return s.cookies[key]
}

// Host is a practice's authority, as a browser writes it: with the port.
func Host(g *harness.Gateway, practice string) string {
	p := g.Practice(practice)
	return p.URL[len("https://"):]
}
