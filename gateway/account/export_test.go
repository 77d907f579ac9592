package account

import (
	"os"
	"testing"

	"clinicgate/gateway/hashing"
)

// What tests look at from inside.
var (
	MatchStep         = matchStep
	ParseCode         = parseCode
	CanonicalName     = canonicalName
	CanonicalRoles    = canonicalRoles
	CanonicalPassword = canonicalPassword
	NewPassword       = newPassword
	WordsOf           = wordsOf
	Strength          = strength
)

// ParsePHC returns how a hash is written again.
func ParsePHC(s string) (string, error) {
	h, err := parsePHC(s)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// HashPHC hashes the password of a person under no pepper.
func HashPHC(t *testing.T, p HashParams, person, password string) string {
	t.Helper()
	var h phc
	err := hashing.NewLocal(1, 1).Do(t.Context(), func(turn *hashing.Turn) (err error) {
		h, err = newPHC(turn, p, pepper(nil).mix(person, password))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// PHCMatches reports whether a hash is that of a person's password under no pepper.
func PHCMatches(t *testing.T, s, person, password string) (same bool) {
	t.Helper()
	h, err := parsePHC(s)
	if err != nil {
		t.Fatal(err)
	}
	err = hashing.NewLocal(1, 1).Do(t.Context(), func(turn *hashing.Turn) (err error) {
		same, err = h.matches(turn, pepper(nil).mix(person, password))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return same
}

// DecoyCosts returns the cost chosen for each address.
func DecoyCosts(people map[HashParams]int64, emails []string, current HashParams) []HashParams {
	var costs []cost
	for p, n := range people {
		costs = append(costs, cost{p, n})
	}
	var out []HashParams
	for _, e := range emails {
		out = append(out, decoyCost(costs, pepper("pepper"), e, current))
	}
	return out
}

// NewBreached reads an open list.
func NewBreached(f *os.File) (*Breached, error) { return newBreached(f) }

// ParamsOf returns the cost of a service's new hashes.
func ParamsOf(s *Service) HashParams { return s.params }
