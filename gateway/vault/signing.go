package vault

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// publishLead is how long a new key is published before it signs. The contract is 10 minutes; the rest is what a
	// node may take to hear of the key.
	publishLead = 12 * time.Minute
	// keepAfter is how long a key is published after it has signed for the last time: its tokens' life (60 s), the
	// clocks of others, and caches.
	keepAfter = 12 * time.Minute
)

// Signing holds the ES256 (P-256) keys of identity assertions. One of them signs; the next one is published before it
// does, and the last one until its tokens are dead, so that a backend with a cached key set never meets an unknown
// key. Current and JWKS are lock free and do no I/O.
type Signing struct {
	vault *Vault
	mu    sync.Mutex                   // one Reload at a time: an older answer must not replace a newer one
	keys  atomic.Pointer[[]signingKey] // all loaded keys, by not_before
	view  atomic.Pointer[signingView]  // what they amount to now
}

// signingKey is one key with its life: it signs from notBefore, and is published until notAfter (zero: no end yet).
type signingKey struct {
	kid       string
	private   *ecdsa.PrivateKey
	notBefore time.Time
	notAfter  time.Time
}

func (k signingKey) published(now time.Time) bool {
	return k.notAfter.IsZero() || now.Before(k.notAfter)
}

// signingView is what holds until the next key takes over or an old one expires.
type signingView struct {
	current signingKey
	jwks    []byte
	from    time.Time
	until   time.Time // zero: for good
}

func (v *signingView) holds(now time.Time) bool {
	return v != nil && !now.Before(v.from) && (v.until.IsZero() || now.Before(v.until))
}

// Current returns the key that signs now.
func (s *Signing) Current() (kid string, key *ecdsa.PrivateKey) {
	v := s.now()
	return v.current.kid, v.current.private
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517): the next, the current and the retired but still
// valid. The bytes are shared: do not change them.
func (s *Signing) JWKS() []byte { return s.now().jwks }

// now returns the view of this moment, working it out anew, from memory, when the last one has run out.
func (s *Signing) now() *signingView {
	now := s.vault.now()
	old := s.view.Load()
	if old.holds(now) {
		return old
	}
	fresh, err := viewAt(*s.keys.Load(), now)
	if err != nil {
		return old // the keys were marshalled once already, at Reload, so this cannot be
	}
	s.view.CompareAndSwap(old, fresh)
	return fresh
}

var errNoKey = errors.New("there is no signing key")

// viewAt works out which key signs at a time: the youngest whose time has come. keys are sorted by notBefore. When
// the clock stands before all of them (it was set back), the oldest signs.
func viewAt(keys []signingKey, now time.Time) (*signingView, error) {
	if len(keys) == 0 {
		return nil, errNoKey
	}
	v := &signingView{current: keys[0]}
	var set jose.JSONWebKeySet
	border := func(t time.Time) {
		switch {
		case t.IsZero():
		case now.Before(t) && (v.until.IsZero() || t.Before(v.until)):
			v.until = t
		case !now.Before(t) && t.After(v.from):
			v.from = t
		}
	}
	for _, k := range keys {
		if !now.Before(k.notBefore) {
			v.current = k
		}
		border(k.notBefore)
		border(k.notAfter)
	}
	for _, k := range keys {
		if k.published(now) || k.kid == v.current.kid {
			set.Keys = append(set.Keys, publicJWK(k))
		}
	}
	var err error
	v.jwks, err = json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("preparing the key set: %w", err)
	}
	return v, nil
}

func publicJWK(k signingKey) jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.kid, Algorithm: string(jose.ES256), Use: "sig"}
}

// start loads the keys, making the first one when there is none. It signs at once: no backend has cached anything yet.
func (s *Signing) start(ctx context.Context) error {
	err := s.Reload(ctx)
	if !errors.Is(err, errNoKey) {
		return err
	}
	if err := s.vault.addSigningKey(ctx, true); err != nil {
		return fmt.Errorf("making the first signing key: %w", err)
	}
	return s.Reload(ctx)
}

// Rotate makes the next signing key. It is published from now on and signs in 12 minutes; the present one is published
// for 12 minutes more. While a next key is waiting for its time, Rotate changes nothing, so two nodes may both ask.
func (s *Signing) Rotate(ctx context.Context) error {
	if err := s.vault.addSigningKey(ctx, false); err != nil {
		return fmt.Errorf("making the next signing key: %w", err)
	}
	return s.Reload(ctx)
}

// RotateIfOlder rotates when the youngest key has been signing for longer than age.
func (s *Signing) RotateIfOlder(ctx context.Context, age time.Duration) error {
	keys := *s.keys.Load()
	if s.vault.now().Sub(keys[len(keys)-1].notBefore) < age {
		return nil
	}
	return s.Rotate(ctx)
}

// Reload reads the keys again: after another node has rotated, at the latest every minute. When it fails the loaded
// keys stay.
func (s *Signing) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.vault.loadSigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	slices.SortFunc(keys, func(a, b signingKey) int { return a.notBefore.Compare(b.notBefore) })
	view, err := viewAt(keys, s.vault.now())
	if err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	s.keys.Store(&keys)
	s.view.Store(view)
	return nil
}
