package session_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"testing"

	"clinicgate/gateway/session"
	"clinicgate/policy"
)

// invented are well-formed tokens that no gateway has made: random, another
// practice's, another kind's, another key's, and a good one with one bit changed.
func invented(t *testing.T, kind string, good string) map[string]string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(good[3:])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{
		"another practice's": kind + tokenOf(acacia).Reveal()[3:],
		"a session's":        kind + tokenOf(harbour).Reveal()[3:],
		"a sign-in's":        kind + flowTokenOf(harbour).Reveal()[3:],
		"no key's":           kind + session.MakeToken(nil).Reveal()[3:],
	}
	delete(out, map[string]string{"s1.": "a session's", "f1.": "a sign-in's"}[kind])
	for bit, name := range map[int]string{0: "first bit", 255: "last bit of the secret", 256: "first bit of the mark", 319: "last bit"} {
		raw[bit/8] ^= 0x80 >> (bit % 8)
		out[name] = kind + base64.RawURLEncoding.EncodeToString(raw)
		raw[bit/8] ^= 0x80 >> (bit % 8)
	}
	return out
}

// Whoever has no account can send cookies without end. They cost no query (T3, D5),
// and not even a store that is down makes them worth more than "none".
func TestInventedCookieAsksNoStore(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	flow, err := g.Flows().Begin(t.Context(), harbour, flowOf(nurse, g.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	sessions, flows := invented(t, "s1.", cookie), invented(t, "f1.", flow.Reveal())
	for range 10_000 {
		var raw [40]byte
		_, _ = rand.Read(raw[:])
		text := base64.RawURLEncoding.EncodeToString(raw[:])
		sessions[text], flows[text] = "s1."+text, "f1."+text
	}
	reads, writes, people := g.store.reads.Load(), g.store.writes.Load(), g.people.asked.Load()
	for name, value := range sessions {
		if l, err := g.lookup(limits, value); l != nil || !errors.Is(err, session.ErrNone) {
			t.Fatalf("%s: Lookup = %v, %v; want none", name, l, err)
		}
	}
	for name, value := range flows {
		_, peek := g.Flows().Peek(t.Context(), harbour, value)
		_, consume := g.Flows().Consume(t.Context(), harbour, value)
		if !errors.Is(peek, session.ErrNone) || !errors.Is(consume, session.ErrNone) {
			t.Fatalf("%s: Peek: %v, Consume: %v; want none", name, peek, consume)
		}
	}
	if r, w, p := g.store.reads.Load()-reads, g.store.writes.Load()-writes, g.people.asked.Load()-people; r+w+p != 0 {
		t.Errorf("%d readings, %d writings, %d questions for people; want none", r, w, p)
	}
	if n := g.Stats().Invented; n != int64(len(sessions)+2*len(flows)) {
		t.Errorf("%d invented tokens counted, %d sent", n, len(sessions)+2*len(flows))
	}
	g.wantServed(limits, cookie)
	if _, err := g.Flows().Consume(t.Context(), harbour, flow.Reveal()); err != nil {
		t.Errorf("Consume: %v", err)
	}
}

// Without the key nobody can tell a good cookie from an invented one: 503, and what
// memory knows goes on (THREATS C10).
func TestKeyThatCannotBeHadIsNoLogout(t *testing.T) {
	answer := keys
	g := newGate(t, func(o *session.Options) {
		o.Keys = func(ctx context.Context, p policy.PracticeID) ([]byte, error) { return answer(ctx, p) }
	})
	cookie, _ := g.signIn(limits, nurse)
	other, l := g.signIn(limits, doctor)
	g.Evict(l)
	for name, fault := range map[string]func(context.Context, policy.PracticeID) ([]byte, error){
		"the registry is down": func(context.Context, policy.PracticeID) ([]byte, error) { return nil, errDisk },
		"no key":               func(context.Context, policy.PracticeID) ([]byte, error) { return nil, nil },
		"a short key":          func(context.Context, policy.PracticeID) ([]byte, error) { return []byte("harbour"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			answer = fault
			defer func() { answer = keys }()
			g.wantError(limits, other, session.ErrUnavailable)
			g.wantError(limits, tokenOf(acacia).Reveal(), session.ErrUnavailable)
			_, peek := g.Flows().Peek(t.Context(), harbour, flowTokenOf(harbour).Reveal())
			_, begin := g.Flows().Begin(t.Context(), harbour, flowOf(nurse, g.clock.Now()))
			_, _, create := g.Create(t.Context(), limits, passwordOf(nurse, g.clock.Now()))
			for _, err := range []error{peek, begin, create} {
				if !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("got %v, want unavailable", err)
				}
			}
			g.wantServed(limits, cookie)
		})
	}
	g.wantServed(limits, other)
}
