package account_test

import (
	"strings"
	"testing"

	"clinicgate/gateway/account"
	"clinicgate/policy"
)

// A reviewer can group attempts by account and learns nothing else from the tag.
func TestTagGroupsSpellingsAndTellsNothing(t *testing.T) {
	k := newKit(t)
	tag := func(id policy.PracticeID, typed string) string {
		t.Helper()
		got, err := k.Tag(t.Context(), id, typed)
		must(t, err)
		if len(got) != 32 || strings.Contains(got, "clinician") {
			t.Errorf("the tag of %q is %q", typed, got)
		}
		return got
	}
	one := tag(harbour, "clinician@harbour.test")
	if other := tag(harbour, " Clinician@HARBOUR.test "); other != one {
		t.Error("two spellings of an address have two tags")
	}
	k.Service = k.again(func(*account.Options) {})
	if later := tag(harbour, "clinician@harbour.test"); later != one {
		t.Error("the tag changes with a restart")
	}
	for what, other := range map[string]string{
		"another practice": tag(acacia, "clinician@harbour.test"),
		"another address":  tag(harbour, "clinician2@harbour.test"),
		"no address":       tag(harbour, "correct horse battery staple"),
	} {
		if other == one {
			t.Errorf("%s: the same tag", what)
		}
	}
}

// Whose address it is comes with the refusal, for the audit log alone.
func TestRefusalSaysWhoseAddressItIs(t *testing.T) {
	k := newKit(t)
	p := k.add("known@harbour.test", "clinician")
	must(t, k.SetDisabled(t.Context(), harbour, p.ID, true))
	for email, want := range map[string]string{"known@harbour.test": p.ID, "unknown@harbour.test": ""} {
		got, err := k.check(email, "wrong lantern oboe tundra")
		wantErr(t, email, err, account.ErrRefused)
		if got.ID != want || got.Email != "" || len(got.Roles) > 0 {
			t.Errorf("%s: got %+v, want the id %q alone", email, got, want)
		}
	}
}
