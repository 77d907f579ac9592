package account_test

import (
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"clinicgate/gateway/account"
	"clinicgate/gateway/vault"
)

// enrol gives a person an active app and returns its secret. The clock is then
// at a step whose code was not used.
func (k *kit) enrol(personID string) string {
	k.t.Helper()
	e, err := k.BeginTOTP(k.t.Context(), harbour, personID, "Harbour Family Practice", "")
	must(k.t, err)
	must(k.t, k.ConfirmTOTP(k.t.Context(), harbour, personID, k.code(e.Secret.Reveal(), 0)))
	k.clock.Advance(90 * time.Second)
	return e.Secret.Reveal()
}

// code is what an app shows that many steps from now.
func (k *kit) code(secret string, steps int) string {
	k.t.Helper()
	c, err := totp.GenerateCode(secret, k.clock.Now().Add(time.Duration(steps)*30*time.Second))
	must(k.t, err)
	return c
}

func TestCodeOfOneStepEitherSideIsAccepted(t *testing.T) {
	for steps, want := range map[int]error{-2: account.ErrRefused, -1: nil, 0: nil, 1: nil, 2: account.ErrRefused} {
		t.Run(fmt.Sprintf("%+d", steps), func(t *testing.T) {
			k := newKit(t)
			p := k.add("clinician@harbour.test", "clinician")
			secret := k.enrol(p.ID)
			err := k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, steps))
			if !errors.Is(err, want) || (want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

// THREATS F1: twenty tries at once, on two nodes, are one success.
func TestCodeWorksOnceInParallelOnTwoNodes(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	secret := k.enrol(p.ID)
	nodes := []*account.Service{k.Service, k.again(func(*account.Options) {})}
	for round := range 5 {
		code := k.code(secret, 0)
		var passed atomic.Int64
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range 20 {
			all.Go(func() {
				<-start
				err := nodes[i%2].CheckTOTP(t.Context(), harbour, p.ID, code)
				if err == nil {
					passed.Add(1)
				} else if !errors.Is(err, account.ErrRefused) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		close(start)
		all.Wait()
		if got := passed.Load(); got != 1 {
			t.Errorf("round %d: %d of 20 tries with one code passed, want 1", round, got)
		}
		k.clock.Advance(30 * time.Second)
	}
}

// A code that is older than the last accepted one was seen on somebody's
// screen: it is refused though it was never used.
func TestOlderCodeIsRefusedAfterANewerOne(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	secret := k.enrol(p.ID)
	must(t, k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, 1)))
	for _, steps := range []int{-1, 0, 1} {
		err := k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, steps))
		wantErr(t, fmt.Sprintf("step %+d", steps), err, account.ErrRefused)
	}
}

func TestConfirmingCodeCannotSignIn(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	must(t, err)
	code := k.code(e.Secret.Reveal(), 0)
	must(t, k.ConfirmTOTP(t.Context(), harbour, p.ID, code))
	wantErr(t, "CheckTOTP", k.CheckTOTP(t.Context(), harbour, p.ID, code), account.ErrRefused)
	must(t, k.CheckTOTP(t.Context(), harbour, p.ID, k.code(e.Secret.Reveal(), 1)))
}

func TestEnrolmentIsConfirmedOnceInParallel(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	must(t, err)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(e.Secret.Reveal(), 0))
			if err == nil {
				passed.Add(1)
			} else if !errors.Is(err, account.ErrNoEnrolment) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d confirmations passed, want 1", passed.Load())
	}
}

// Nothing counts as a second factor until a code proved it (THREATS F3).
func TestPendingEnrolmentIsNoFactor(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	must(t, err)
	secret := e.Secret.Reveal()
	wantErr(t, "CheckTOTP", k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, 0)), account.ErrRefused)
	wantErr(t, "ConfirmTOTP with a wrong code", k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(secret, 5)), account.ErrRefused)
	if got, _ := k.ByID(t.Context(), harbour, p.ID); got.HasTOTP {
		t.Error("the person has a second factor already")
	}
	must(t, k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(secret, 0)))
	if got, _ := k.ByID(t.Context(), harbour, p.ID); !got.HasTOTP {
		t.Error("the person has no second factor after the confirmation")
	}
}

// Replacing an app: the old one works until the new one is proved, then never.
func TestNewAppReplacesTheOldOneOnlyWhenProved(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	old := k.enrol(p.ID)
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	must(t, err)
	must(t, k.CheckTOTP(t.Context(), harbour, p.ID, k.code(old, 0)))
	k.clock.Advance(time.Minute)
	must(t, k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(e.Secret.Reveal(), 0)))
	k.clock.Advance(time.Minute)
	wantErr(t, "old app", k.CheckTOTP(t.Context(), harbour, p.ID, k.code(old, 0)), account.ErrRefused)
	must(t, k.CheckTOTP(t.Context(), harbour, p.ID, k.code(e.Secret.Reveal(), 0)))
}

func TestEnrolmentExpires(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "a")
	must(t, err)
	k.clock.Advance(15 * time.Minute)
	wantErr(t, "ConfirmTOTP", k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(e.Secret.Reveal(), 0)), account.ErrNoEnrolment)
	again, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "a")
	must(t, err)
	if again.Secret.Equal(e.Secret) {
		t.Error("an expired secret is shown again")
	}
}

// A reload shows the same secret; anybody else's page never does: else somebody
// with the password alone could begin, let the owner complete, and share the secret.
func TestEnrolmentIsShownAgainOnlyToItsOwnBrowser(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	begin := func(ceremony string) vault.Secret {
		e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", ceremony)
		must(t, err)
		return e.Secret
	}
	first := begin("attacker")
	if !first.Equal(begin("attacker")) {
		t.Error("a reload shows another secret")
	}
	if first.Equal(begin("owner")) {
		t.Error("the owner is shown the attacker's secret")
	}
	wantErr(t, "the attacker's code", k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(first.Reveal(), 0)), account.ErrRefused)
	if begin("").Equal(begin("")) {
		t.Error("browsers without a name share a secret")
	}
}

func TestResetFactorsRemovesActiveAndPending(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	secret := k.enrol(p.ID)
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	must(t, err)
	must(t, k.ResetFactors(t.Context(), harbour, p.ID))
	wantErr(t, "active", k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, 0)), account.ErrRefused)
	wantErr(t, "pending", k.ConfirmTOTP(t.Context(), harbour, p.ID, k.code(e.Secret.Reveal(), 0)), account.ErrNoEnrolment)
	if got, _ := k.ByID(t.Context(), harbour, p.ID); got.HasTOTP {
		t.Error("the person still has a second factor")
	}
}

func TestDisabledPersonsCodeIsRefused(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	secret := k.enrol(p.ID)
	must(t, k.SetDisabled(t.Context(), harbour, p.ID, true))
	wantErr(t, "CheckTOTP", k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, 0)), account.ErrRefused)
	_, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	wantErr(t, "BeginTOTP", err, account.ErrRefused)
	must(t, k.SetDisabled(t.Context(), harbour, p.ID, false))
	must(t, k.CheckTOTP(t.Context(), harbour, p.ID, k.code(secret, 0)))
}

// THREATS T3, and one person's code at another's account.
func TestCodeIsGoodForItsPersonOnly(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	other := k.add("other@harbour.test", "clinician")
	secret := k.enrol(p.ID)
	k.enrol(other.ID)
	wantErr(t, "other person", k.CheckTOTP(t.Context(), harbour, other.ID, k.code(secret, 0)), account.ErrRefused)
	wantErr(t, "other practice", k.CheckTOTP(t.Context(), acacia, p.ID, k.code(secret, 0)), account.ErrRefused)
	wantErr(t, "nobody", k.CheckTOTP(t.Context(), harbour, "nobody", k.code(secret, 0)), account.ErrRefused)
}

// The secret is sealed to its row: who can write the database cannot move a
// known secret to somebody else.
func TestSecretMovedToAnotherRowDoesNotOpen(t *testing.T) {
	k := newKit(t)
	attacker := k.add("attacker@harbour.test", "clinician")
	victim := k.add("victim@harbour.test", "clinician")
	secret := k.enrol(attacker.ID)
	k.enrol(victim.ID)
	k.exec(`UPDATE totp SET secret = (SELECT secret FROM totp WHERE person = $1),
		enrolment = (SELECT enrolment FROM totp WHERE person = $1) WHERE person = $2`, attacker.ID, victim.ID)
	err := k.CheckTOTP(t.Context(), harbour, victim.ID, k.code(secret, 0))
	if err == nil {
		t.Error("the attacker's code signs the victim in")
	}
}

func TestSecretIsSealedAtRest(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	secret := k.enrol(p.ID)
	stored := k.text(`SELECT secret FROM totp`)
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	must(t, err)
	if len(raw) != 20 {
		t.Errorf("the secret has %d bytes, want 20", len(raw))
	}
	if strings.Contains(stored, secret) || strings.Contains(stored, string(raw)) {
		t.Error("the database holds the secret itself")
	}
}

func TestURI(t *testing.T) {
	tests := map[string]struct{ issuer, label string }{
		"plain":      {"Harbour Family Practice", "/Harbour Family Practice:clinician@harbour.test"},
		"with colon": {"Harbour: North", "/Harbour North:clinician@harbour.test"},
		"with signs": {"A&B=C?#/ Zürich", "/A&B=C?#/ Zürich:clinician@harbour.test"},
		"very long":  {strings.Repeat("x", 100), "/" + strings.Repeat("x", 60) + ":clinician@harbour.test"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			p := k.add("clinician@harbour.test", "clinician")
			e, err := k.BeginTOTP(t.Context(), harbour, p.ID, tt.issuer, "")
			must(t, err)
			u, err := url.Parse(e.URI.Reveal())
			must(t, err)
			q := u.Query()
			if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != tt.label {
				t.Errorf("got %s://%s%s, want otpauth://totp%s", u.Scheme, u.Host, u.Path, tt.label)
			}
			issuer, _, _ := strings.Cut(strings.TrimPrefix(tt.label, "/"), ":")
			want := map[string]string{"secret": e.Secret.Reveal(), "issuer": issuer, "digits": "6", "period": "30", "algorithm": "SHA1"}
			for key, value := range want {
				if q.Get(key) != value {
					t.Errorf("%s is %q, want %q", key, q.Get(key), value)
				}
			}
		})
	}
}

// THREATS A5.
func TestEnrolmentPrintsAsMask(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	e, err := k.BeginTOTP(t.Context(), harbour, p.ID, "Harbour", "")
	must(t, err)
	asJSON, err := json.Marshal(e)
	must(t, err)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", e, e, e, e), string(asJSON)} {
		if strings.Contains(s, e.Secret.Reveal()) {
			t.Errorf("the secret is printed: %s", s)
		}
	}
}

// RFC 6238 appendix B, the SHA-1 column cut to six digits.
func TestRFC6238Vectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for unix, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step, ok := account.MatchStep(secret, code, time.Unix(unix, 0))
		if !ok || step != unix/30 {
			t.Errorf("time %d, code %s: got step %d, %v; want %d", unix, code, step, ok, unix/30)
		}
	}
}

// Two steps in a row that happen to have one code: it counts as the earlier's,
// so that having been used for that one it is not accepted for the next.
func TestCodeOfTwoStepsCountsAsTheEarlier(t *testing.T) {
	const earlier = 50424280 // the RFC's secret has the code 070562 at this step and the next
	for _, now := range []int64{earlier, earlier + 1} {
		step, ok := account.MatchStep([]byte("12345678901234567890"), "070562", time.Unix(now*30, 0))
		if !ok || step != earlier {
			t.Errorf("at step %d: got step %d, %v; want %d", now, step, ok, earlier)
		}
	}
}

func TestCodeSpelling(t *testing.T) {
	for typed, want := range map[string]bool{
		"123456": true, "123 456": true, " 123456 ": true, "12 34 56": true, "123\u00a0456": true, "123\t456": true,
		"": false, "12345": false, "1234567": false, "12345a": false, "-12345": false, "+12345": false, "1234.5": false,
		"１２３４５６": false, "١٢٣٤٥٦": false, "12345６": false, "123-456": false, "123\n456": false, "123\x00456": false,
		"123456" + strings.Repeat(" ", 100): false, "０": false, "\xff23456": false,
	} {
		if got := account.LooksLikeCode(typed); got != want {
			t.Errorf("%q: got %v, want %v", typed, got, want)
		}
	}
}

func FuzzCode(f *testing.F) {
	for _, s := range []string{"123456", "123 456", "１２３４５６", "", "\xff", "12345"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		digits, ok := account.ParseCode(s)
		if !ok {
			return
		}
		if again, ok := account.ParseCode(digits); !ok || again != digits || len(digits) != 6 {
			t.Errorf("%q became %q, which is no code", s, digits)
		}
		for _, r := range digits {
			if r < '0' || r > '9' {
				t.Errorf("%q became %q", s, digits)
			}
		}
	})
}
