package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

// withHistory is a practice with four versions, its third in a second generation.
func withHistory(t *testing.T) *node {
	n := open(t)
	step := func(line string) {
		n.now = n.now.Add(time.Hour)
		apply(t, n, document(t, "harbour", []string{"harbour.localhost"}, line))
	}
	step("timezone: Australia/Sydney")
	step("timezone: Australia/Perth")
	if err := n.Remove(t.Context(), "harbour", operator); err != nil {
		t.Fatal(err)
	}
	step("session: {idle: 10m}")
	step("session: {idle: 20m}")
	apply(t, n, document(t, "banksia", []string{"banksia.localhost"}))
	return n
}

func TestHistorySaysWhoChangedWhatWhenAndWhy(t *testing.T) {
	n := withHistory(t)
	history, err := n.History(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	for i := range history {
		if len(history[i].Hash) != 64 {
			t.Errorf("version %d has hash %q", i+1, history[i].Hash)
		}
		history[i].Hash = ""
	}
	var want []directory.Entry
	for i, generation := range []int64{1, 1, 2, 2} {
		want = append(want, directory.Entry{Practice: "harbour", Version: int64(i + 1), Generation: generation, Who: "operator",
			Why: "test", At: start.Add(time.Duration(i+1) * time.Hour)})
	}
	if diff := cmp.Diff(want, history); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, doc, err := n.Version(t.Context(), "harbour", 2)
	if err != nil || doc.Timezone != "Australia/Perth" {
		t.Errorf("version 2 has zone %q, %v", doc.Timezone, err)
	}
	for _, missing := range []int64{0, 5, -1} {
		if _, _, err := n.Version(t.Context(), "harbour", missing); !errors.Is(err, directory.ErrUnknown) {
			t.Errorf("version %d: got %v, want ErrUnknown", missing, err)
		}
	}
}

func TestDiffOfTwoVersions(t *testing.T) {
	n := withHistory(t)
	got, err := n.Diff(t.Context(), "harbour", 2, 4)
	want := "timezone: Australia/Perth → UTC\nsession.idle: 15m → 20m"
	if err != nil || got != want {
		t.Errorf("got\n%s\n%v\nwant\n%s", got, err, want)
	}
	if back, err := n.Diff(t.Context(), "harbour", 4, 3); err != nil || back != "session.idle: 20m → 10m" {
		t.Errorf("got %q, %v", back, err)
	}
	if _, err := n.Diff(t.Context(), "harbour", 1, 9); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
}

func TestTamperedHistoryNamesTheFirstBadVersion(t *testing.T) {
	for name, c := range map[string]struct {
		statements []string
		version    int64
	}{
		"document altered":    {[]string{`UPDATE policy_version SET document = replace(document, 'Perth', 'Darwin') WHERE practice = 'harbour' AND version = 2`}, 2},
		"author altered":      {[]string{`UPDATE policy_version SET who = 'somebody' WHERE practice = 'harbour' AND version = 3`}, 3},
		"reason moved to who": {[]string{`UPDATE policy_version SET who = who || why, why = '' WHERE practice = 'harbour' AND version = 3`}, 3},
		"time altered":        {[]string{`UPDATE policy_version SET at = at + 1 WHERE practice = 'harbour' AND version = 1`}, 1},
		"generation altered":  {[]string{`UPDATE policy_version SET generation = 2 WHERE practice = 'harbour' AND version = 2`}, 2},
		"two altered":         {[]string{`UPDATE policy_version SET why = 'x' WHERE practice = 'harbour' AND version > 2`}, 3},
		"first cut off":       {[]string{`DELETE FROM policy_version WHERE practice = 'harbour' AND version = 1`}, 1},
		"middle taken out":    {[]string{`DELETE FROM policy_version WHERE practice = 'harbour' AND version = 3`}, 3},
		"tail cut off":        {[]string{`DELETE FROM policy_version WHERE practice = 'harbour' AND version = 4`}, 4},
		"all taken out":       {[]string{`DELETE FROM policy_version WHERE practice = 'harbour'`}, 1},
		"older one in force":  {[]string{`UPDATE practice SET version = 3 WHERE practice = 'harbour'`}, 4},
		"generation of practice raised": {[]string{
			`UPDATE practice SET generation = 3 WHERE practice = 'harbour'`}, 4},
		"generation of practice lowered": {[]string{
			`UPDATE practice SET generation = 1 WHERE practice = 'harbour'`}, 3},
		"swapped": {[]string{
			`UPDATE policy_version SET version = 90 WHERE practice = 'harbour' AND version = 2`,
			`UPDATE policy_version SET version = 2 WHERE practice = 'harbour' AND version = 3`,
			`UPDATE policy_version SET version = 3 WHERE practice = 'harbour' AND version = 90`}, 2},
		"another practice's put in": {[]string{
			`DELETE FROM policy_version WHERE practice = 'harbour' AND version = 1`,
			`UPDATE policy_version SET practice = 'harbour' WHERE practice = 'banksia'`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := withHistory(t)
			if last, err := n.VerifyHistory(t.Context(), "harbour"); err != nil || last.Version != 4 {
				t.Fatalf("an untouched history: %+v, %v", last, err)
			}
			for _, statement := range c.statements {
				sql(t, n, statement)
			}
			_, err := n.VerifyHistory(t.Context(), "harbour")
			var bad *directory.HistoryError
			if !errors.As(err, &bad) || bad.Version != c.version || bad.Practice != "harbour" {
				t.Errorf("got %v, want version %d", err, c.version)
			}
		})
	}
}

func TestAlteredVersionIsNotShown(t *testing.T) {
	n := withHistory(t)
	sql(t, n, `UPDATE policy_version SET document = replace(document, 'Perth', 'Darwin') WHERE practice = 'harbour' AND version = 2`)
	_, _, err := n.Version(t.Context(), "harbour", 2)
	for name, err := range map[string]error{"version": err, "diff": second(n.Diff(t.Context(), "harbour", 1, 2))} {
		var bad *directory.HistoryError
		if !errors.As(err, &bad) || bad.Version != 2 {
			t.Errorf("%s: got %v, want version 2 refused", name, err)
		}
	}
}

// Whoever forges a version with its hash has to forge all after it, and the last hash, which others have kept, changes.
func TestForgedVersionBreaksTheNextOne(t *testing.T) {
	for forged, want := range map[int64]int64{1: 2, 2: 3, 3: 4} {
		n := withHistory(t)
		if err := n.Forge(t.Context(), "harbour", forged); err != nil {
			t.Fatal(err)
		}
		_, err := n.VerifyHistory(t.Context(), "harbour")
		var bad *directory.HistoryError
		if !errors.As(err, &bad) || bad.Version != want {
			t.Errorf("version %d forged: got %v, want version %d", forged, err, want)
		}
	}
	n := withHistory(t)
	if err := n.Plant(t.Context(), "harbour", strings.ToUpper); err != nil { // without a link to it
		t.Fatal(err)
	}
	var bad *directory.HistoryError
	if _, err := n.VerifyHistory(t.Context(), "harbour"); !errors.As(err, &bad) || bad.Version != 2 {
		t.Errorf("version 1 replaced: got %v, want version 2", err)
	}
	n = withHistory(t)
	before, err := n.VerifyHistory(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Forge(t.Context(), "harbour", 4); err != nil {
		t.Fatal(err)
	}
	if after, err := n.VerifyHistory(t.Context(), "harbour"); err != nil || after.Hash == before.Hash {
		t.Errorf("the forged end has the hash of the true one: %v, %v", after, err)
	}
}

// The encoding is for ever: hashes that were written years ago are checked with it.
func TestHashOfAVersionIsWhatItAlwaysWas(t *testing.T) {
	got := directory.Digest("harbour", 2, 1, 1772438400000000, directory.Author{Who: "operator", Why: "test"}, `{"practice":"harbour"}`,
		bytes.Repeat([]byte{7}, 32))
	if want := "0ef0156c48c8823d55616f9330d86d19ce860c98626c490886fd4851b97e4c34"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVerifyHistoryOfAnUnknownPractice(t *testing.T) {
	if _, err := open(t).VerifyHistory(t.Context(), "never"); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
}

// THREATS T6, and a stored document is outside input: what does not fit is 503 for its own hosts and alarmed.
func TestUnusableStoredPolicyIsBrokenAndStopsNobodyElse(t *testing.T) {
	for name, statement := range map[string]string{
		"altered":              `UPDATE policy_version SET document = replace(document, 'enforced', 'off') WHERE practice = 'harbour' AND version = 1`,
		"author altered":       `UPDATE policy_version SET who = 'somebody' WHERE practice = 'harbour' AND version = 1`,
		"no document":          `UPDATE policy_version SET document = 'x' WHERE practice = 'harbour' AND version = 1`,
		"version missing":      `DELETE FROM policy_version WHERE practice = 'harbour' AND version = 1`,
		"generation":           `UPDATE practice SET generation = 2 WHERE practice = 'harbour'`,
		"host put in":          `INSERT INTO host (host, practice) VALUES ('evil.localhost', 'harbour')`,
		"another one's":        `UPDATE policy_version SET document = (SELECT document FROM policy_version WHERE practice = 'banksia') WHERE practice = 'harbour'`,
		"given another's host": `UPDATE host SET practice = 'harbour' WHERE host = 'wattle.localhost'`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/state"
			n := openNode(t, dir, defaultPlatform(t))
			for _, id := range []string{"harbour", "banksia", "wattle"} {
				apply(t, n, document(t, id, []string{id + ".localhost"}))
			}
			sql(t, n, statement)
			n = openNode(t, dir, defaultPlatform(t))
			p := n.ByHost("harbour.localhost")
			if p == nil || p.ID != "harbour" || p.Broken == "" || p.Policy != nil {
				t.Fatalf("got %+v, want a broken practice without a policy", p)
			}
			if d := p.Policy.Decide(&policy.Subject{UserID: "u", Level: policy.AAL2PR}, policy.Request{Method: "GET", Path: "/"}); d.Allowed() {
				t.Error("a broken practice lets somebody in")
			}
			if problems := n.Problems(); len(problems) == 0 || !mentions(problems, "harbour") {
				t.Errorf("got problems %v, want harbour", problems)
			}
			if p := n.ByHost("banksia.localhost"); p == nil || p.ID != "banksia" || p.Broken != "" {
				t.Errorf("got %+v, want a healthy banksia", p)
			}
			apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
			if p := n.ByHost("harbour.localhost"); p == nil || p.Broken != "" || p.Policy == nil {
				t.Errorf("got %+v, want that the same policy, applied again, heals the practice", p)
			}
		})
	}
}

func mentions(problems []directory.Problem, id policy.PracticeID) bool {
	for _, p := range problems {
		if p.Practice == id && p.Reason != "" && p.Version > 0 {
			return true
		}
	}
	return false
}

func ExampleHistoryError() {
	fmt.Println(&directory.HistoryError{Practice: "harbour", Version: 3, Reason: "it was altered"})
	// Output: the history of practice harbour does not hold from version 3 on: it was altered
}

func TestDocumentOfAnotherReleaseOfTheGateway(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		broken   string // part of the reason; "": it is served
	}{
		"older, without a field of today":    {`"binding":{"action":"step_up","device_key":"prefer"},`, ``, ""},
		"newer, with a field we do not know": {`"practice":"harbour",`, `"practice":"harbour","embargo":true,`, "embargo"},
		"more than one document":             {`{"practice"`, `{} {"practice"`, "more than one"},
	} {
		dir := t.TempDir() + "/state"
		n := openNode(t, dir, defaultPlatform(t))
		apply(t, n, document(t, "harbour", []string{"harbour.localhost"}))
		err := n.Plant(t.Context(), "harbour", func(text string) string {
			if !strings.Contains(text, c.old) {
				t.Fatalf("%s: %s is not in %s", name, c.old, text)
			}
			return strings.Replace(text, c.old, c.new, 1)
		})
		if err != nil {
			t.Fatal(err)
		}
		p := openNode(t, dir, defaultPlatform(t)).ByHost("harbour.localhost")
		if p == nil || (p.Broken == "") != (c.broken == "") || !strings.Contains(p.Broken, c.broken) {
			t.Errorf("%s: got %+v, want broken by %q", name, p, c.broken)
		}
		if c.broken == "" && p.Policy.Binding() != (policy.Binding{Action: "step_up", DeviceKey: "prefer"}) {
			t.Errorf("%s: the default is missing: %+v", name, p.Policy.Binding())
		}
	}
}
