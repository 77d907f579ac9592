package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"clinicgate/gateway/account"
	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

func TestAddedPersonIsReadBack(t *testing.T) {
	k := newKit(t)
	want, err := k.Add(t.Context(), harbour, account.NewPerson{
		Email: "  Clinician@Harbour.Test ", Name: "  An   Example ", Roles: []string{"reception", "clinician", "reception"},
		Password: vault.NewSecret(goodPass), GraceUntil: k.clock.Now().Add(48 * time.Hour),
	})
	must(t, err)
	if want.Email != "clinician@harbour.test" || want.Name != "An Example" || !want.HasPassword || want.HasTOTP {
		t.Errorf("added %+v", want)
	}
	if d := cmp.Diff([]string{"clinician", "reception"}, want.Roles); d != "" {
		t.Errorf("roles (-want +got):\n%s", d)
	}
	id, err := uuid.Parse(want.ID)
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("id %q is no UUIDv7", want.ID)
	}
	if sec, nsec := id.Time().UnixTime(); !time.Unix(sec, nsec).Truncate(time.Millisecond).Equal(k.clock.Now()) {
		t.Errorf("the id's time is %v, want the clock's", time.Unix(sec, nsec))
	}
	byID, err := k.ByID(t.Context(), harbour, want.ID)
	must(t, err)
	byEmail, err := k.ByEmail(t.Context(), harbour, "CLINICIAN@harbour.test")
	must(t, err)
	all, err := k.List(t.Context(), harbour)
	must(t, err)
	for name, got := range map[string]account.Person{"ByID": byID, "ByEmail": byEmail, "List": all[0]} {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestListIsCompleteAndInOrder(t *testing.T) {
	k := newKit(t)
	k.add("b@harbour.test", "clinician")
	k.add("a@harbour.test", "billing", "reception")
	k.add("c@harbour.test")
	all, err := k.List(t.Context(), harbour)
	must(t, err)
	var got []string
	for _, p := range all {
		got = append(got, p.Email+" "+strings.Join(p.Roles, ","))
	}
	want := []string{"a@harbour.test billing,reception", "b@harbour.test clinician", "c@harbour.test "}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAddRefusesWhatCannotBeStored(t *testing.T) {
	k := newKit(t)
	k.add("taken@harbour.test", "clinician")
	good := account.NewPerson{Email: "new@harbour.test", Name: "New", Roles: []string{"clinician"}}
	tests := map[string]struct {
		change func(*account.NewPerson)
		field  string // of a *FieldError; "" = ErrExists
	}{
		"address taken in other letters":  {func(n *account.NewPerson) { n.Email = "TAKEN@HARBOUR.test" }, ""},
		"no address":                      {func(n *account.NewPerson) { n.Email = "" }, "email"},
		"no name":                         {func(n *account.NewPerson) { n.Name = "  " }, "name"},
		"line break is a blank, bell not": {func(n *account.NewPerson) { n.Name = "a\a" }, "name"},
		"name that runs backwards":        {func(n *account.NewPerson) { n.Name = "a\u202eb" }, "name"},
		"long name":                       {func(n *account.NewPerson) { n.Name = strings.Repeat("é", 101) }, "name"},
		"damaged name":                    {func(n *account.NewPerson) { n.Name = "a\xff" }, "name"},
		"role with a comma":               {func(n *account.NewPerson) { n.Roles = []string{"a,practice_admin"} }, "roles"},
		"empty role":                      {func(n *account.NewPerson) { n.Roles = []string{""} }, "roles"},
		"role in capitals":                {func(n *account.NewPerson) { n.Roles = []string{"Admin"} }, "roles"},
		"too many roles":                  {func(n *account.NewPerson) { n.Roles = make([]string, 21) }, "roles"},
		"weak password":                   {func(n *account.NewPerson) { n.Password = vault.NewSecret("password") }, "password"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := good
			tt.change(&n)
			_, err := k.Add(t.Context(), harbour, n)
			var field *account.FieldError
			switch {
			case tt.field == "":
				wantErr(t, "Add", err, account.ErrExists)
			case !errors.As(err, &field) || field.Field != tt.field:
				t.Errorf("got %v, want a refusal of %s", err, tt.field)
			case field.Reason == "" || field.Remedy == "":
				t.Errorf("%v names no reason or remedy", err)
			}
		})
	}
	all, err := k.List(t.Context(), harbour)
	must(t, err)
	if len(all) != 1 {
		t.Errorf("%d people are stored, want 1", len(all))
	}
}

// THREATS T3: ids and addresses of one practice are nobody at another.
func TestPeopleOfAnotherPracticeAreNobody(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	ctx := t.Context()
	_, err := k.ByID(ctx, acacia, p.ID)
	wantErr(t, "ByID", err, account.ErrUnknown)
	_, err = k.ByEmail(ctx, acacia, p.Email)
	wantErr(t, "ByEmail", err, account.ErrUnknown)
	wantErr(t, "SetRoles", k.SetRoles(ctx, acacia, p.ID, []string{"practice_admin"}), account.ErrUnknown)
	wantErr(t, "SetDisabled", k.SetDisabled(ctx, acacia, p.ID, true), account.ErrUnknown)
	wantErr(t, "SetPassword", k.SetPassword(ctx, acacia, p.ID, vault.NewSecret(goodPass)), account.ErrUnknown)
	wantErr(t, "ResetFactors", k.ResetFactors(ctx, acacia, p.ID), account.ErrUnknown)
	_, err = k.BeginTOTP(ctx, acacia, p.ID, "Acacia", "")
	wantErr(t, "BeginTOTP", err, account.ErrUnknown)
	_, err = k.RememberDevice(ctx, acacia, p.ID, "")
	if err == nil {
		t.Error("RememberDevice stored a device of nobody")
	}
	if got := k.takeChanges(); got != nil {
		t.Errorf("sessions were told of %v", got)
	}
}

// THREATS T6: a row that names another practice is an alarm, never a person.
func TestRowOfAnotherPracticeIsAnAlarm(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	k.exec(`UPDATE person SET practice = $1 WHERE id = $2`, "acacia", p.ID)
	ctx := t.Context()
	_, err := k.ByID(ctx, harbour, p.ID)
	wantErr(t, "ByID", err, account.ErrForeign)
	_, err = k.ByEmail(ctx, harbour, p.Email)
	wantErr(t, "ByEmail", err, account.ErrForeign)
	_, err = k.List(ctx, harbour)
	wantErr(t, "List", err, account.ErrForeign)
	_, err = k.CheckPassword(ctx, harbour, p.Email, vault.NewSecret(goodPass))
	wantErr(t, "CheckPassword", err, account.ErrForeign)
}

// THREATS C7: every change is announced after it is stored.
func TestEveryChangeIsAnnounced(t *testing.T) {
	k := newKit(t)
	k.add("admin@harbour.test", account.RoleAdmin)
	p := k.add("clinician@harbour.test", "clinician")
	if got := k.takeChanges(); got != nil {
		t.Fatalf("adding somebody announced %v", got)
	}
	ctx := t.Context()
	tests := map[string]func() error{
		"roles":    func() error { return k.SetRoles(ctx, harbour, p.ID, []string{"billing"}) },
		"disable":  func() error { return k.SetDisabled(ctx, harbour, p.ID, true) },
		"enable":   func() error { return k.SetDisabled(ctx, harbour, p.ID, false) },
		"password": func() error { return k.SetPassword(ctx, harbour, p.ID, vault.NewSecret(goodPass+"s")) },
		"name":     func() error { return k.Rename(ctx, harbour, p.ID, "Another Name") },
		"grace":    func() error { return k.SetGrace(ctx, harbour, p.ID, k.clock.Now()) },
		"factors":  func() error { return k.ResetFactors(ctx, harbour, p.ID) },
		"enrol":    func() error { k.enrol(p.ID); return nil },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			for range 2 { // a repeated change is announced again
				must(t, change())
				if d := cmp.Diff([]string{"harbour/" + p.ID}, k.takeChanges()); d != "" {
					t.Errorf("announced (-want +got):\n%s", d)
				}
			}
		})
	}
}

func TestChangesAreStored(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	ctx := t.Context()
	until := k.clock.Now().Add(time.Hour).UTC()
	must(t, k.SetRoles(ctx, harbour, p.ID, []string{"reception", "billing"}))
	must(t, k.Rename(ctx, harbour, p.ID, "Another Name"))
	must(t, k.SetGrace(ctx, harbour, p.ID, until))
	must(t, k.SetDisabled(ctx, harbour, p.ID, true))
	want := p
	want.Roles, want.Name, want.GraceUntil, want.Disabled = []string{"billing", "reception"}, "Another Name", until, true
	got, err := k.ByID(ctx, harbour, p.ID)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A refused change is neither stored nor announced.
func TestRefusedChangeLeavesNoTrace(t *testing.T) {
	k := newKit(t)
	p := k.add("admin@harbour.test", account.RoleAdmin)
	wantErr(t, "SetRoles", k.SetRoles(t.Context(), harbour, p.ID, []string{"clinician"}), account.ErrLastAdmin)
	if got := k.takeChanges(); got != nil {
		t.Errorf("announced %v", got)
	}
	got, err := k.ByID(t.Context(), harbour, p.ID)
	must(t, err)
	if d := cmp.Diff(p, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Without a hook a disabled person would stay signed in: nothing may change.
func TestChangeWithoutHookIsRefused(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	s := k.again(func(o *account.Options) { o.Changed = nil })
	if err := s.SetDisabled(t.Context(), harbour, p.ID, true); err == nil {
		t.Error("the change was made, though nobody would hear of it")
	}
	if got, _ := k.ByID(t.Context(), harbour, p.ID); got.Disabled {
		t.Error("the change was stored")
	}
}

// The bus is away: the caller hears that sessions were not told, a passing
// failure is tried again, and a browser that closes stops nothing.
func TestFailedAnnouncementIsReported(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	down := errors.New("the feed is away")
	calls := 0
	s := k.again(func(o *account.Options) {
		o.Changed = func(context.Context, policyID, string) error { calls++; return down }
	})
	err := s.SetDisabled(t.Context(), harbour, p.ID, true)
	wantErr(t, "SetDisabled", err, account.ErrNotAnnounced)
	wantErr(t, "SetDisabled", err, down)
	if got, _ := k.ByID(t.Context(), harbour, p.ID); !got.Disabled {
		t.Error("the change was not stored")
	}

	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	s = k.again(func(o *account.Options) {
		o.Changed = func(ctx context.Context, _ policyID, _ string) error {
			cancel()
			if calls++; calls == 1 {
				return down
			}
			return ctx.Err()
		}
	})
	must(t, s.SetDisabled(ctx, harbour, p.ID, true))
	if calls != 2 {
		t.Errorf("the hook was called %d times, want 2", calls)
	}
}

type policyID = policy.PracticeID

// The last practice_admin stays, unless an operator says otherwise.
func TestLastAdminStays(t *testing.T) {
	disable := func(k *kit, p account.Person, o ...account.Override) error {
		return k.SetDisabled(t.Context(), harbour, p.ID, true, o...)
	}
	demote := func(k *kit, p account.Person, o ...account.Override) error {
		return k.SetRoles(t.Context(), harbour, p.ID, []string{"clinician"}, o...)
	}
	for name, take := range map[string]func(*kit, account.Person, ...account.Override) error{"disable": disable, "demote": demote} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			admin := k.add("admin@harbour.test", account.RoleAdmin, "clinician")
			former := k.add("former@harbour.test", account.RoleAdmin)
			must(t, disable(k, former)) // a disabled admin does not count
			k.add("clinician@harbour.test", "clinician")
			wantErr(t, name, take(k, admin), account.ErrLastAdmin)
			must(t, take(k, admin, account.EvenLastAdmin))
		})
		t.Run(name+" with another", func(t *testing.T) {
			k := newKit(t)
			admin := k.add("admin@harbour.test", account.RoleAdmin)
			k.add("second@harbour.test", account.RoleAdmin)
			must(t, take(k, admin))
		})
	}
}

func TestTwoAdminsCannotRemoveEachOtherAtOnce(t *testing.T) {
	k := newKit(t)
	admins := []account.Person{k.add("a@harbour.test", account.RoleAdmin), k.add("b@harbour.test", account.RoleAdmin)}
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, p := range admins {
		both.Go(func() { errs[i] = k.SetDisabled(t.Context(), harbour, p.ID, true) })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), account.ErrLastAdmin) {
		t.Errorf("got %v and %v, want one success and one %v", errs[0], errs[1], account.ErrLastAdmin)
	}
}

// A database that is away is not an answer about anybody.
func TestUnavailableDatabaseDecidesNothing(t *testing.T) {
	k := newKit(t)
	p := k.add("clinician@harbour.test", "clinician")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.CheckPassword(ctx, harbour, p.Email, vault.NewSecret(goodPass))
	if errors.Is(err, account.ErrRefused) || !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("CheckPassword: got %v, want %v", err, database.ErrUnavailable)
	}
	err = k.CheckTOTP(ctx, harbour, p.ID, "123456")
	if errors.Is(err, account.ErrRefused) || !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("CheckTOTP: got %v, want %v", err, database.ErrUnavailable)
	}
	_, err = k.CheckPassword(t.Context(), "unknown", p.Email, vault.NewSecret(goodPass))
	if errors.Is(err, account.ErrRefused) || err == nil {
		t.Errorf("CheckPassword at an unknown practice: got %v", err)
	}
}
