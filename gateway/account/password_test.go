package account_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/account"
	"clinicgate/gateway/database"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/vault"
)

func (k *kit) check(email, password string) (account.Person, error) {
	return k.CheckPassword(k.t.Context(), harbour, email, vault.NewSecret(password))
}

func TestRightPasswordReturnsThePerson(t *testing.T) {
	k := newKit(t)
	want := k.add("clinician@harbour.test", "clinician")
	for name, email := range map[string]string{"as stored": want.Email, "other letters": " Clinician@HARBOUR.test "} {
		t.Run(name, func(t *testing.T) {
			got, err := k.check(email, goodPass)
			must(t, err)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// cases are the ways of THREATS L1 to be refused, set up on k. All are
// tried with the right password where there is one.
func (k *kit) cases() map[string]func() error {
	k.t.Helper()
	ctx := k.t.Context()
	k.add("known@harbour.test", "clinician")
	disabled := k.add("disabled@harbour.test", "clinician")
	must(k.t, k.SetDisabled(ctx, harbour, disabled.ID, true))
	_, err := k.Add(ctx, harbour, account.NewPerson{Email: "sso@harbour.test", Name: "Single Sign-on", Roles: []string{"clinician"}})
	must(k.t, err)
	_, err = k.Add(ctx, acacia, account.NewPerson{
		Email: "clinician@acacia.test", Name: "Other", Roles: []string{"clinician"}, Password: vault.NewSecret(goodPass),
	})
	must(k.t, err)
	damaged := k.add("damaged@harbour.test", "clinician")
	k.exec(`UPDATE password SET phc = '$argon2id$v=19$m=1' WHERE person = $1`, damaged.ID)
	try := func(email, password string) func() error {
		return func() error { _, err := k.check(email, password); return err }
	}
	return map[string]func() error{
		"wrong password":       try("known@harbour.test", "wrong lantern oboe tundra"),
		"unknown":              try("unknown@harbour.test", goodPass),
		"disabled":             try("disabled@harbour.test", goodPass),
		"no password":          try("sso@harbour.test", goodPass),
		"other practice":       try("clinician@acacia.test", goodPass),
		"damaged hash":         try("damaged@harbour.test", goodPass),
		"no address":           try("", goodPass),
		"not an address":       try("known@harbour.test@", goodPass),
		"empty password":       try("known@harbour.test", ""),
		"very long password":   try("known@harbour.test", strings.Repeat(goodPass, 1000)),
		"damaged password":     try("known@harbour.test", goodPass+"\xff"),
		"password with a bell": try("known@harbour.test", goodPass+"\a"),
		"other letters":        try("known@harbour.test", strings.ToUpper(goodPass)),
		"with a blank":         try("known@harbour.test", goodPass+" "),
	}
}

// THREATS L1: every refusal is the one same answer.
func TestRefusalsAreTheSame(t *testing.T) {
	k := newKit(t)
	for name, try := range k.cases() {
		t.Run(name, func(t *testing.T) {
			if err := try(); err != account.ErrRefused {
				t.Errorf("got %v, want exactly %v", err, account.ErrRefused)
			}
		})
	}
}

// THREATS L1: every refusal hashes once, with the cost that others have. The
// service is given a queue of which nothing is free: whoever would be refused
// without hashing is found out by not being busy.
func TestRefusalsDoTheSameWork(t *testing.T) {
	k := newKit(t)
	tries := k.cases()
	hashes := hashing.NewLocal(1, 1)
	k.Service = k.again(func(o *account.Options) { o.Hashes = hashes })
	release := fillQueue(t, hashes)
	defer release()
	for name, try := range tries {
		t.Run(name, func(t *testing.T) {
			if err := try(); err != account.ErrBusy {
				t.Errorf("got %v, want %v: no hash was asked for", err, account.ErrBusy)
			}
		})
	}
}

// fillQueue occupies the only hash and the only place in the queue.
func fillQueue(t *testing.T, hashes *hashing.Pool) (release func()) {
	let := occupy(hashes)
	var held sync.WaitGroup
	held.Go(func() { _ = hashes.Do(context.Background(), func(*hashing.Turn) error { return nil }) })
	waitFor(t, func() bool { return hashes.Waiting() == 1 })
	return func() { let(); held.Wait() }
}

// occupy takes the only turn there is until let is called.
func occupy(hashes *hashing.Pool) (let func()) {
	hold, running := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() {
		_ = hashes.Do(context.Background(), func(*hashing.Turn) error { close(running); <-hold; return nil })
	})
	<-running
	return func() { close(hold); held.Wait() }
}

func TestHashIsRenewedWhenParametersChange(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	const stored = `SELECT phc FROM password WHERE person = $1`
	before := k.text(stored, p.ID)
	k.Service = k.again(func(o *account.Options) { o.Hash = account.HashParams{MemoryKiB: 128, Passes: 2, Lanes: 1} })
	_, err := k.check(p.Email, "wrong lantern oboe tundra")
	wantErr(t, "wrong password", err, account.ErrRefused)
	if got := k.text(stored, p.ID); got != before {
		t.Fatal("a wrong password renewed the hash")
	}
	_, err = k.check(p.Email, goodPass)
	must(t, err)
	renewed := k.text(stored, p.ID)
	if !strings.HasPrefix(renewed, "$argon2id$v=19$m=128,t=2,p=1$") {
		t.Errorf("the hash is %s after a sign-in, want the new parameters", renewed)
	}
	if got := k.text(`SELECT cost FROM password WHERE person = $1`, p.ID); got != "m=128,t=2,p=1" {
		t.Errorf("the cost is noted as %s", got)
	}
	_, err = k.check(p.Email, goodPass)
	must(t, err)
	if got := k.text(stored, p.ID); got != renewed {
		t.Error("a hash of the right parameters was renewed again")
	}
}

// While parameters are being renewed, unknown addresses cost what known ones
// do: the same share of them the old cost, each always the same.
func TestDecoysCostWhatPeopleCost(t *testing.T) {
	old, current := tiny, account.HashParams{MemoryKiB: 128, Passes: 2, Lanes: 1}
	var emails []string
	for i := range 4000 {
		emails = append(emails, strings.Repeat("x", i%60)+string(rune('a'+i%26))+strings.Repeat("y", i/60)+"@harbour.test")
	}
	people := map[account.HashParams]int64{old: 30, current: 10}
	got := account.DecoyCosts(people, emails, current)
	olds := 0
	for _, p := range got {
		if p == old {
			olds++
		}
	}
	if olds < 2800 || olds > 3200 {
		t.Errorf("%d of 4000 decoys have the old cost, want about 3000", olds)
	}
	third := account.HashParams{MemoryKiB: 256, Passes: 3, Lanes: 1}
	seen := map[account.HashParams]int{}
	for _, p := range account.DecoyCosts(map[account.HashParams]int64{old: 10, current: 10, third: 10}, emails, tiny) {
		seen[p]++
	}
	for p, n := range seen {
		if n < 1200 || n > 1470 {
			t.Errorf("%d of 4000 decoys cost %v, want about a third", n, p)
		}
	}
	if got := account.DecoyCosts(nil, emails[:1], current); got[0] != current {
		t.Errorf("in an empty practice the cost is %v, want %v", got[0], current)
	}
}

func TestDisabledOrChangedWhileWaitingIsRefused(t *testing.T) {
	tests := map[string]func(k *kit, p account.Person) error{
		"disabled": func(k *kit, p account.Person) error { return k.SetDisabled(t.Context(), harbour, p.ID, true) },
		"changed": func(k *kit, p account.Person) error {
			return k.SetPassword(t.Context(), harbour, p.ID, vault.NewSecret("another "+goodPass))
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			p := k.add("clinician@harbour.test", "clinician")
			hashes := hashing.NewLocal(1, 1)
			slow := k.again(func(o *account.Options) { o.Hashes = hashes })
			let := occupy(hashes)
			answer := make(chan error)
			go func() {
				_, err := slow.CheckPassword(t.Context(), harbour, p.Email, vault.NewSecret(goodPass))
				answer <- err
			}()
			waitFor(t, func() bool { return hashes.Waiting() == 1 })
			must(t, change(k, p)) // on another node
			let()
			wantErr(t, "CheckPassword", <-answer, account.ErrRefused)
		})
	}
}

func TestNewPasswordReplacesTheOld(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	const next = "gravel mitten opera yonder"
	must(t, k.SetPassword(t.Context(), harbour, p.ID, vault.NewSecret(next)))
	_, err := k.check(p.Email, goodPass)
	wantErr(t, "old password", err, account.ErrRefused)
	_, err = k.check(p.Email, next)
	must(t, err)
}

// The same letters typed on another system are the same password.
func TestPasswordIsComparedInNFC(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	must(t, k.SetPassword(t.Context(), harbour, p.ID, vault.NewSecret("caf\u00e9 lantern oboe tundra")))
	_, err := k.check(p.Email, "cafe\u0301 lantern oboe tundra")
	must(t, err)
	_, err = k.check(p.Email, "cafe lantern oboe tundra")
	wantErr(t, "without the accent", err, account.ErrRefused)
}

// A hash works for its own person and with the practice's pepper only.
func TestStolenHashOpensNothingElse(t *testing.T) {
	k := newKit(t)
	attacker := k.add("attacker@harbour.test", "clinician")
	victim := k.add("victim@harbour.test", "clinician")
	must(t, k.SetPassword(t.Context(), harbour, victim.ID, vault.NewSecret("gravel mitten opera yonder")))
	k.exec(`UPDATE password SET phc = (SELECT phc FROM password WHERE person = $1) WHERE person = $2`, attacker.ID, victim.ID)
	_, err := k.check(victim.Email, goodPass)
	wantErr(t, "the attacker's hash in the victim's row", err, account.ErrRefused)
	k.moveToAcacia(attacker)
	_, err = k.CheckPassword(t.Context(), acacia, attacker.Email, vault.NewSecret(goodPass))
	wantErr(t, "the same hash for the same person at another practice", err, account.ErrRefused)
	if account.PHCMatches(t, k.text(`SELECT phc FROM password WHERE person = $1`, attacker.ID), attacker.ID, goodPass) {
		t.Error("the hash can be guessed without the pepper")
	}
}

// moveToAcacia copies a person and their hash as somebody with both files could.
func (k *kit) moveToAcacia(p account.Person) {
	k.t.Helper()
	ctx := k.t.Context()
	hash := k.text(`SELECT phc FROM password WHERE person = $1`, p.ID)
	must(k.t, k.opts.DB.Practice(acacia).Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO person (practice, id, email, name, disabled_at, grace_until, created_at, changed_at)
			VALUES ('acacia', $1, $2, 'Moved', 0, 0, 1, 1)`, p.ID, p.Email)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO password (practice, person, phc, cost, version, changed_at)
			VALUES ('acacia', $1, $2, 'm=64,t=1,p=1', 'x', 1)`, p.ID, hash)
		return err
	}))
}

func TestConcurrentSignIns(t *testing.T) {
	k := newKit(t, func(o *account.Options) { o.Hashes = hashing.NewLocal(2, 500) })
	k.add("clinician@harbour.test", "clinician")
	k.Service = k.again(func(o *account.Options) { o.Hash = account.HashParams{MemoryKiB: 128, Passes: 1, Lanes: 1} })
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			password, want := goodPass, error(nil)
			if i%2 == 0 {
				password, want = "wrong", account.ErrRefused
			}
			if _, err := k.check("clinician@harbour.test", password); err != want {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	all.Wait()
}
