package account

import (
	"context"
	"os"
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
	DefaultHashes     = defaultHashes
)

// ParsePHC returns how a hash is written again.
func ParsePHC(s string) (string, error) {
	h, err := parsePHC(s)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// HashPHC hashes input, and PHCMatches compares.
func HashPHC(p HashParams, input string) string { return newPHC(p, []byte(input)).String() }

// PHCMatches reports whether a hash is that of input.
func PHCMatches(s, input string) bool {
	h, err := parsePHC(s)
	return err == nil && h.matches([]byte(input))
}

// Hasher is the bounded hasher.
type Hasher = hasher

// NewHasher returns one.
func NewHasher(n, queue int) *Hasher { return newHasher(n, queue) }

// Do runs hash when it is its turn.
func (h *hasher) Do(ctx context.Context, hash func()) error { return h.do(ctx, hash) }

// Waiting is the number in the queue.
func (h *hasher) Waiting() int64 { return h.waiting.Load() }

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

// HasherOf returns the hasher of a service.
func HasherOf(s *Service) *Hasher { return s.hasher }

// ParamsOf returns the cost of a service's new hashes.
func ParamsOf(s *Service) HashParams { return s.params }
