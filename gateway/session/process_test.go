package session_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/session"
	"clinicgate/policy"
)

const childDir = "CLINICGATE_SESSION_TEST_DIR"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := signInForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// signInForEver signs in, steps up and signs out, and says what it was told.
func signInForEver(dir string) error {
	ctx := context.Background()
	c := newClock()
	server, err := databasetest.Address(dir)
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, database.Options{Dir: dir, Postgres: server, Now: c.Now})
	if err != nil {
		return err
	}
	m := session.New(session.Options{DB: db, Feed: &feed{clock: c}, People: newPeople(), Keys: keys, Now: c.Now})
	for {
		token, l, err := m.Create(ctx, limits, passwordOf(nurse, c.Now()))
		if err != nil {
			return err
		}
		fmt.Println("in", token.Reveal())
		raised, _, err := m.Raise(ctx, limits, l, policy.AAL2, []string{"otp"})
		if err != nil {
			return err
		}
		fmt.Println("raised", raised.Reveal(), token.Reveal())
		token, l, err = m.Create(ctx, limits, passwordOf(doctor, c.Now()))
		if err != nil {
			return err
		}
		if err := m.End(ctx, l); err != nil {
			return err
		}
		fmt.Println("out", token.Reveal())
	}
}

// kill -9 between any two instructions: what was answered holds, what was ended
// stays ended, and the database opens clean.
func TestKilledProcessKeepsWhatItAnswered(t *testing.T) {
	g := newGate(t)
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+g.dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	want := map[string]policy.Level{} // LevelNone: ended
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		word := strings.Fields(lines.Text())
		switch {
		case len(word) == 2 && word[0] == "in":
			want[word[1]] = policy.AAL1
		case len(word) == 3 && word[0] == "raised":
			want[word[1]], want[word[2]] = policy.AAL2, policy.AAL1
		case len(word) == 2 && word[0] == "out":
			want[word[1]] = policy.LevelNone
		}
		if n == 100 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait()
	if len(want) < 90 {
		t.Fatalf("only %d answers", len(want))
	}
	node := g.again()
	for cookie, level := range want {
		l, err := node.lookup(limits, cookie)
		switch {
		case level == policy.LevelNone && err != session.ErrNone:
			t.Errorf("signed out, and: %v", err)
		case level != policy.LevelNone && (err != nil || l.Subject().Level != level):
			t.Errorf("answered with %v, and now: %v", level, err)
		}
	}
	for _, query := range []string{
		`SELECT count(*) FROM session_token t WHERE NOT EXISTS (SELECT 1 FROM session s WHERE s.practice = t.practice AND s.id = t.session)`,
		`SELECT count(*) FROM session s WHERE 1 <> (SELECT count(*) FROM session_token t WHERE t.session = s.id AND t.dies_at = 0)`,
	} {
		if n := g.count(harbour, query); n != 0 {
			t.Errorf("%d rows half written: %s", n, query)
		}
	}
}
