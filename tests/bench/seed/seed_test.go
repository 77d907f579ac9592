package seed_test

import (
	"testing"

	"clinicgate/gateway/session"
	"clinicgate/policy"
	"clinicgate/tests/bench/seed"
)

func TestSeededSessionIsOneThatTheGatewayFinds(t *testing.T) {
	ctx := t.Context()
	i, err := seed.Create(ctx, t.TempDir()+"/state")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	doc, err := seed.Harbour("127.0.0.1:9", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	docs := append(seed.Practices(doc, 3, ".bench.localhost"), doc)
	if err := i.Apply(ctx, docs, func(int) {}); err != nil {
		t.Fatal(err)
	}
	people, err := i.People(ctx, doc.Practice, "clinician", 2)
	if err != nil {
		t.Fatal(err)
	}
	cookies, err := i.Sessions(ctx, doc.Practice, people, 5, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	limits, err := seed.Limits(doc, policy.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	for k, cookie := range cookies {
		live, err := i.Core().Sessions.Lookup(ctx, limits, cookie)
		if err != nil {
			t.Fatalf("session %d: %v", k, err)
		}
		if got, want := live.Person().ID, people[k%2].ID; got != want {
			t.Errorf("session %d: got person %s, want %s", k, got, want)
		}
		if got := live.Subject().Level; got != policy.AAL2 {
			t.Errorf("session %d: got %v, want aal2", k, got)
		}
	}
	elsewhere := limits
	elsewhere.ID = docs[0].Practice
	if _, err := i.Core().Sessions.Lookup(ctx, elsewhere, cookies[0]); err != session.ErrNone {
		t.Errorf("at another practice: got %v, want ErrNone", err)
	}
}

func TestSeededPersonHasAPasswordAndAnAuthenticatorApp(t *testing.T) {
	ctx := t.Context()
	i, err := seed.Create(ctx, t.TempDir()+"/state")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	doc, err := seed.Harbour("127.0.0.1:9", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Apply(ctx, []policy.Document{doc}, func(int) {}); err != nil {
		t.Fatal(err)
	}
	p, err := i.Add(ctx, doc.Practice, "clinician@harbour.test", "clinician")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := i.Core().Accounts.ByID(ctx, doc.Practice, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !stored.HasPassword || !stored.HasTOTP || p.Secret == "" {
		t.Errorf("got %+v", stored)
	}
}
