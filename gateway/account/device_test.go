package account_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/vault"
)

func (k *kit) known(token, email string) bool {
	k.t.Helper()
	ok, err := k.KnownDevice(k.t.Context(), harbour, token, email)
	must(k.t, err)
	return ok
}

func (k *kit) remember(personID, token string) string {
	k.t.Helper()
	token, err := k.RememberDevice(k.t.Context(), harbour, personID, token)
	must(k.t, err)
	return token
}

// One workstation, one cookie, several people; each is known on their own.
func TestPeopleShareAWorkstationsToken(t *testing.T) {
	k := newKit(t)
	a, b, c := k.add("a@harbour.test"), k.add("b@harbour.test"), k.add("c@harbour.test")
	token := k.remember(a.ID, "")
	if k.known(token, b.Email) {
		t.Error("b is known before signing in")
	}
	if again := k.remember(b.ID, token); again != token {
		t.Errorf("b's sign-in changed the workstation's token")
	}
	for email, want := range map[string]bool{a.Email: true, "A@Harbour.TEST": true, b.Email: true, c.Email: false, "nobody@harbour.test": false, "": false} {
		if got := k.known(token, email); got != want {
			t.Errorf("%q is known: %v, want %v", email, got, want)
		}
	}
}

// A token that this practice did not give out is replaced: nobody can plant one.
func TestPlantedTokenIsReplaced(t *testing.T) {
	k := newKit(t)
	p := k.add("a@harbour.test")
	elsewhere, err := k.Add(t.Context(), acacia, account.NewPerson{Email: "a@acacia.test", Name: "Other"})
	must(t, err)
	foreign, err := k.RememberDevice(t.Context(), acacia, elsewhere.ID, "")
	must(t, err)
	for name, planted := range map[string]string{
		"made up": "AAAAAAAAAAAAAAAAAAAAAA", "of another practice": foreign, "damaged": "AAAAAAAAAAAAAAAAAAAAA!",
		"long": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not canonical": "AAAAAAAAAAAAAAAAAAAAAB",
	} {
		t.Run(name, func(t *testing.T) {
			token := k.remember(p.ID, planted)
			if token == planted || len(token) != 22 {
				t.Errorf("the token is %q", token)
			}
			if k.known(planted, p.Email) {
				t.Error("the planted token is known")
			}
		})
	}
}

func TestDeviceIsForgottenAfter180DaysUnused(t *testing.T) {
	const day = 24 * time.Hour
	k := newKit(t)
	p := k.add("a@harbour.test")
	token := k.remember(p.ID, "")
	k.clock.Advance(179 * day)
	if !k.known(token, p.Email) {
		t.Error("forgotten after 179 days")
	}
	k.remember(p.ID, token)
	k.clock.Advance(179 * day)
	if !k.known(token, p.Email) {
		t.Error("a sign-in did not extend it")
	}
	k.clock.Advance(day)
	if k.known(token, p.Email) {
		t.Error("still known after 180 days unused")
	}
	if k.remember(p.ID, token) == token {
		t.Error("an expired token is given out again")
	}
	if got := k.text(`SELECT COUNT(*) FROM known_device`); got != "1" {
		t.Errorf("%s devices are stored, want 1", got)
	}
}

func TestAtMostTwentyDevicesAPerson(t *testing.T) {
	k := newKit(t)
	p, other := k.add("a@harbour.test"), k.add("b@harbour.test")
	others := k.remember(other.ID, "")
	var tokens []string
	for range 25 {
		tokens = append(tokens, k.remember(p.ID, ""))
		k.clock.Advance(time.Hour)
	}
	for i, token := range tokens {
		if got, want := k.known(token, p.Email), i >= 5; got != want {
			t.Errorf("device %d is known: %v, want %v", i, got, want)
		}
	}
	if !k.known(others, other.Email) {
		t.Error("somebody else's device was forgotten")
	}
}

// All at the same instant: the one just used is never the one that goes.
func TestDeviceJustUsedStays(t *testing.T) {
	k := newKit(t)
	p := k.add("a@harbour.test")
	for i := range 60 {
		if token := k.remember(p.ID, ""); !k.known(token, p.Email) {
			t.Fatalf("device %d was forgotten at once", i)
		}
	}
}

func TestDevicesAreForgottenWith(t *testing.T) {
	for name, change := range map[string]func(*kit, account.Person) error{
		"a new password": func(k *kit, p account.Person) error {
			return k.SetPassword(t.Context(), harbour, p.ID, vault.NewSecret(goodPass))
		},
		"reset factors": func(k *kit, p account.Person) error { return k.ResetFactors(t.Context(), harbour, p.ID) },
		"disabling":     func(k *kit, p account.Person) error { return k.SetDisabled(t.Context(), harbour, p.ID, true) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			p, other := k.add("a@harbour.test"), k.add("b@harbour.test")
			token := k.remember(p.ID, "")
			k.remember(other.ID, token)
			must(t, change(k, p))
			if k.known(token, p.Email) {
				t.Error("the person's device is still known")
			}
			if !k.known(token, other.Email) {
				t.Error("somebody else on the workstation was forgotten too")
			}
		})
	}
}

func TestTokenIsStoredHashed(t *testing.T) {
	k := newKit(t)
	token := k.remember(k.add("a@harbour.test").ID, "")
	stored := k.text(`SELECT token_hash FROM known_device`)
	if len(stored) != 32 || bytes.Contains([]byte(stored), []byte(token)) {
		t.Errorf("stored is %x", stored)
	}
	seen := map[string]bool{token: true}
	for i := range 20 {
		next := k.remember(k.add(fmt.Sprintf("p%d@harbour.test", i)).ID, "")
		if seen[next] {
			t.Fatal("two devices have one token")
		}
		seen[next] = true
	}
}
