package directory_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/database"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

// THREATS T5: which generation's database may be opened, at each step of a practice's life.
func TestOnlyThePresentGenerationsDatabaseIsThePractices(t *testing.T) {
	n := open(t)
	doc := document(t, "harbour", []string{"harbour.localhost"})
	right := func() (out []int64) {
		t.Helper()
		for generation := int64(0); generation < 5; generation++ {
			err := n.CheckGeneration(t.Context(), "harbour", generation)
			if err == nil {
				out = append(out, generation)
			} else if !errors.Is(err, database.ErrSwapped) {
				t.Errorf("generation %d: got %v, want ErrSwapped", generation, err)
			}
		}
		return out
	}
	step := func(what string, err error, want ...int64) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, right()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	step("not there yet", nil, 0, 1) // no database is of generation 0
	step("made", applied(n, t, doc, 1), 1)
	step("suspended", n.Suspend(t.Context(), "harbour", operator), 1)
	step("removed", n.Remove(t.Context(), "harbour", operator), 1, 2)
	step("made again", applied(n, t, doc, 2), 2)
	step("removed again", n.Remove(t.Context(), "harbour", operator), 2, 3)
}

func applied(n *node, t *testing.T, doc policy.Document, generation int64) error {
	planned, err := n.Apply(t.Context(), doc, operator, true)
	if err != nil || planned.Generation != generation {
		t.Errorf("planned: generation %d, want %d (%v)", planned.Generation, generation, err)
	}
	result, err := n.Apply(t.Context(), doc, operator, false)
	if result.Generation != generation {
		t.Errorf("applied: generation %d, want %d", result.Generation, generation)
	}
	return err
}

// What this node knows counts when the registry cannot be asked, and nothing else.
func TestGenerationWithoutTheRegistry(t *testing.T) {
	n := open(t)
	apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
	if err := n.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.CheckGeneration(t.Context(), "harbour", 1); err != nil {
		t.Errorf("the one that is known: %v", err)
	}
	for id, generation := range map[policy.PracticeID]int64{"harbour": 2, "banksia": 1} {
		err := n.CheckGeneration(t.Context(), id, generation)
		if !errors.Is(err, database.ErrUnavailable) && !errors.Is(err, database.ErrSwapped) {
			t.Errorf("%s in generation %d: got %v, want a refusal", id, generation, err)
		}
	}
}

// A node that looks only after the id is in use again learns that a generation is over.
func TestRemovalIsNoticedAfterTheIDIsUsedAgain(t *testing.T) {
	for name, again := range map[string]bool{"removed": false, "removed and made again": true, "changed": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n, other := openNode(t, dir, defaultPlatform(t)), openNode(t, dir, defaultPlatform(t))
			doc := document(t, "harbour", []string{"harbour.localhost"})
			apply(t, other, doc)
			if err := n.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			var retired []policy.PracticeID
			n.OnRetire(func(id policy.PracticeID) { retired = append(retired, id) })
			var want []policy.PracticeID
			if name != "changed" {
				want = []policy.PracticeID{"harbour"}
				if err := other.Remove(t.Context(), "harbour", operator); err != nil {
					t.Fatal(err)
				}
			}
			if again {
				doc.Name = "Other"
				apply(t, other, doc)
			}
			if err := n.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, retired); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var _ database.Guard = (*directory.Directory)(nil).CheckGeneration
