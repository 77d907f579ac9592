package database_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/policy"
	"github.com/google/go-cmp/cmp"
)

// twoSets opens an embedded Set with two practices in use, and an empty one of the kind that is tested.
func twoSets(t *testing.T) (from, to *database.Set) {
	t.Helper()
	from, err := database.OpenWith(t.Context(), database.Options{Dir: t.TempDir()}, notes(), notes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = from.Close() })
	for _, id := range []string{"harbour", "banksia"} {
		if err := put2(t, from, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(t, from.Registry(), 1, "registry"); err != nil {
		t.Fatal(err)
	}
	return from, openCopy(t, database.Options{Dir: t.TempDir()})
}

// openCopy opens a copy in the making, of the kind that is tested.
func openCopy(t *testing.T, o database.Options) *database.Set {
	t.Helper()
	to, err := database.OpenCopyWith(t.Context(), databasetest.Options(t, o), notes(), notes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = to.Close() })
	return to
}

func copySet(t *testing.T, from, to *database.Set) (done []database.Copied) {
	t.Helper()
	err := from.CopyTo(t.Context(), to, func(c database.Copied, n, total int) {
		done = append(done, c)
		if n != len(done) || total != 3 {
			t.Errorf("progress says %d of %d, want %d of 3", n, total, len(done))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestCopyHasEveryRowAndIsMadeOnce(t *testing.T) {
	from, to := twoSets(t)
	long := strings.Repeat("long \x01\u2028", 40)
	for id := range int64(120) { // more than one statement copies
		if err := put(t, from.Practice("harbour"), 100+id, long); err != nil {
			t.Fatal(err)
		}
	}
	want := []database.Copied{{Rows: 1}, {Practice: "banksia", Rows: 1}, {Practice: "harbour", Rows: 121}}
	if diff := cmp.Diff(want, copySet(t, from, to)); diff != "" {
		t.Error(diff)
	}
	for name, pair := range map[string][2]store{
		"registry": {from.Registry(), to.Registry()},
		"harbour":  {from.Practice("harbour"), to.Practice("harbour")},
		"banksia":  {from.Practice("banksia"), to.Practice("banksia")},
	} {
		if diff := cmp.Diff(bodies(t, pair[0]), bodies(t, pair[1])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for i := range want {
		want[i].Same = true
	}
	if diff := cmp.Diff(want, copySet(t, from, to)); diff != "" {
		t.Errorf("again: %s", diff)
	}
}

func TestCopyBegunAgainFollowsWhatHasChanged(t *testing.T) {
	from, to := twoSets(t)
	copySet(t, from, to)
	err := from.Practice("harbour").Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE note SET body = 'other'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t, to.Practice("banksia"), 77, "only there"); err != nil {
		t.Fatal(err)
	}
	var changed []policy.PracticeID
	for _, c := range copySet(t, from, to) {
		if !c.Same {
			changed = append(changed, c.Practice)
		}
	}
	if diff := cmp.Diff([]policy.PracticeID{"banksia", "harbour"}, changed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(bodies(t, from.Practice("harbour")), bodies(t, to.Practice("harbour"))); diff != "" {
		t.Error(diff)
	}
}

// What comes or goes while the copy is made is on both sides or on neither.
func TestPracticesThatComeAndGoWhileTheyAreCopied(t *testing.T) {
	from, to := twoSets(t)
	changes := map[int]func() error{
		1: func() error { return from.Remove(t.Context(), "harbour") }, // before its turn
		2: func() error { return put2(t, from, "wattle") },             // after the list was made
		4: func() error { return from.Remove(t.Context(), "banksia") }, // after its turn, in the second round
	}
	calls := 0
	err := from.CopyTo(t.Context(), to, func(database.Copied, int, int) {
		calls++
		if change := changes[calls]; change != nil {
			if err := change(); err != nil {
				t.Error(err)
			}
			if calls == 2 {
				if err := put(t, from.Registry(), 2, "wattle"); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := to.Practices(t.Context())
	if diff := cmp.Diff([]policy.PracticeID{"wattle"}, ids); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if diff := cmp.Diff(bodies(t, from.Registry()), bodies(t, to.Registry())); diff != "" {
		t.Errorf("the registry: %s", diff)
	}
}

func TestCopyEndsWhenPracticesNeverRest(t *testing.T) {
	from, to := twoSets(t)
	n := 0
	err := from.CopyTo(t.Context(), to, func(c database.Copied, _, _ int) {
		if n++; c.Practice == "" {
			if err := from.Create(t.Context(), policyID(fmt.Sprint("new-", n))); err != nil {
				t.Error(err)
			}
		}
	})
	if !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestHalfACopyIsServedByNobody(t *testing.T) {
	from, _ := twoSets(t)
	o := databasetest.Options(t, database.Options{Dir: t.TempDir()})
	late, cancel := context.WithCancel(t.Context())
	to := openCopy(t, o)
	if err := from.CopyTo(late, to, func(database.Copied, int, int) { cancel() }); !errors.Is(err, database.ErrUnavailable) {
		t.Fatalf("got %v, want a copy that is broken off", err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	serve := func() error {
		s, err := database.OpenWith(t.Context(), o, notes(), notes())
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := serve(); !errors.Is(err, database.ErrUnfinished) {
		t.Errorf("half a copy: got %v, want ErrUnfinished", err)
	}
	to = openCopy(t, o)
	copySet(t, from, to)
	if err := to.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := serve(); err != nil {
		t.Errorf("the whole copy: %v", err)
	}
}

// Nobody's databases are overwritten with others' by a wrong name.
func TestDatabasesInUseAreNoPlaceForACopy(t *testing.T) {
	from, _ := twoSets(t)
	o := databasetest.Options(t, database.Options{Dir: t.TempDir()})
	used := openFiles(t, o)
	if err := put2(t, used, "wattle"); err != nil {
		t.Fatal(err)
	}
	if to, err := database.OpenCopyWith(t.Context(), o, notes(), notes()); err == nil {
		t.Error("databases in use were opened to copy others to", to.Close())
	}
	if err := from.CopyTo(t.Context(), used, nil); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want a refusal", err)
	}
	again := openFiles(t, o)
	if got := count(t, again.Practice("wattle")); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
}

func TestPostgresAddresses(t *testing.T) {
	const good = "postgres://gateway:canary@127.0.0.1:1/registry"
	tests := []struct {
		name, registry, practices, want string
	}{
		{"no registry", "", good + "_{practice}", "registry's address: it is missing"},
		{"no connection string", "://canary", good + "_{practice}", "no connection string"},
		{"no database", "postgres://gateway@127.0.0.1:1", good + "_{practice}", "it names no database"},
		{"no placeholder", good, good, "it must hold {practice} once"},
		{"placeholder twice", good, good + "_{practice}_{practice}", "it must hold {practice} once"},
		{"placeholder elsewhere", good, "postgres://{practice}:canary@127.0.0.1:1/p", "must be part of the database's name"},
		{"nothing in front", good, "postgres://gateway:canary@127.0.0.1:1/{practice}", "1 to 14 bytes"},
		{"too long", good, "postgres://gateway:canary@127.0.0.1:1/clinicgate_one_{practice}", "1 to 14 bytes"},
		{"odd bytes", good, "postgres://gateway:canary@127.0.0.1:1/Gate-{practice}", "may have a-z"},
		{"plain text over a network", "postgres://gateway:canary@192.0.2.1/registry?sslmode=disable", good + "_{practice}", "needs sslmode=verify-full"},
		{"whatever the server can do", "postgres://gateway:canary@192.0.2.1/registry", good + "_{practice}", "needs sslmode=verify-full"},
		{"any name", "postgres://gateway:canary@192.0.2.1/registry?sslmode=verify-ca", good + "_{practice}", "needs sslmode=verify-full"},
		{"second server in plain text", "host=127.0.0.1,192.0.2.1 user=gateway password=canary dbname=registry sslmode=disable", good + "_{practice}", "needs sslmode=verify-full"},
		{"registry among the practices", good, "postgres://gateway:canary@127.0.0.1:1/reg{practice}", "choose another name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := database.Open(t.Context(), database.Options{Postgres: &database.Postgres{Registry: tt.registry, Practices: tt.practices}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

func TestUnreachablePostgresIsUnavailable(t *testing.T) {
	_, err := database.Open(t.Context(), database.Options{Postgres: &database.Postgres{
		Registry: "postgres://gateway:canary@127.0.0.1:1/registry", Practices: "postgres://gateway:canary@127.0.0.1:1/p_{practice}",
	}})
	if !errors.Is(err, database.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want ErrUnavailable without the password", err)
	}
}
