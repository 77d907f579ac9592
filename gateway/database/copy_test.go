package database_test

import (
	"errors"
	"strings"
	"testing"

	"clinicgate/gateway/database"
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
	return from, openSet(t, database.Options{})
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
	want := []database.Copied{{Practice: "banksia", Rows: 1}, {Practice: "harbour", Rows: 121}, {Rows: 1}}
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
