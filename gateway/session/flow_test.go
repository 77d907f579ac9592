package session_test

import (
	"context"
	"encoding/base64"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/session"
	"clinicgate/policy"
	"github.com/google/go-cmp/cmp"
)

func (g *gate) begin(f session.Flow) string {
	g.t.Helper()
	token, err := g.Flows().Begin(context.Background(), harbour, f)
	if err != nil {
		g.t.Fatal(err)
	}
	return token.Reveal()
}

func TestFlowComesBackAsItWas(t *testing.T) {
	g := newGate(t)
	for _, f := range []session.Flow{
		flowOf(nurse, g.clock.Now()),
		{User: doctor, ProvedAt: [4]time.Time{policy.AAL1: g.clock.Now()}, AMR: []string{"pwd"}, Return: "/prescriptions/7"},
		{User: nurse, ProvedAt: [4]time.Time{policy.AAL1: g.clock.Now(), policy.AAL2: g.clock.Now()}, Held: policy.AAL2, AMR: []string{"pwd", "mfa"}, Return: ""},
	} {
		cookie := g.begin(f)
		f.Created, f.Expires = g.clock.Now(), g.clock.Now().Add(session.FlowLife)
		for range 3 {
			got, err := g.Flows().Peek(t.Context(), harbour, cookie)
			if err != nil || !cmp.Equal(got, f) {
				t.Errorf("Peek: %v\n%s", err, cmp.Diff(f, got))
			}
		}
		got, err := g.Flows().Consume(t.Context(), harbour, cookie)
		if err != nil || !cmp.Equal(got, f) {
			t.Errorf("Consume: %v\n%s", err, cmp.Diff(f, got))
		}
		if _, err := g.Flows().Consume(t.Context(), harbour, cookie); err != session.ErrNone {
			t.Errorf("a second time: %v", err)
		}
	}
}

func TestFlowIsConsumedOnce(t *testing.T) {
	g := newGate(t)
	other := g.again()
	for range 10 {
		cookie := g.begin(flowOf(nurse, g.clock.Now()))
		var got atomic.Int64
		var all sync.WaitGroup
		for i := range 20 {
			node := g
			if i%2 == 1 {
				node = other
			}
			all.Go(func() {
				switch _, err := node.Flows().Consume(context.Background(), harbour, cookie); err {
				case nil:
					got.Add(1)
				case session.ErrNone:
				default:
					t.Errorf("Consume: %v", err)
				}
			})
		}
		all.Wait()
		if got.Load() != 1 {
			t.Fatalf("%d got it", got.Load())
		}
	}
}

func TestFlowEndsAfterTenMinutes(t *testing.T) {
	g := newGate(t)
	cookie := g.begin(flowOf(nurse, g.clock.Now()))
	g.clock.Advance(session.FlowLife - time.Microsecond)
	if _, err := g.Flows().Peek(t.Context(), harbour, cookie); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(time.Microsecond)
	for name, find := range map[string]func(context.Context, policy.PracticeID, string) (session.Flow, error){
		"peek": g.Flows().Peek, "consume": g.Flows().Consume,
	} {
		if _, err := find(t.Context(), harbour, cookie); err != session.ErrNone {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFlowOfOnePracticeIsNothingAtAnother(t *testing.T) {
	g := newGate(t)
	cookie := g.begin(flowOf(nurse, g.clock.Now()))
	if _, err := g.Flows().Consume(t.Context(), acacia, cookie); err != session.ErrNone {
		t.Errorf("at another practice: %v", err)
	}
	if _, err := g.lookup(limits, cookie); err != session.ErrNone {
		t.Errorf("as a session cookie: %v", err)
	}
	sessionCookie, _ := g.signIn(limits, nurse)
	if _, err := g.Flows().Consume(t.Context(), harbour, sessionCookie); err != session.ErrNone {
		t.Errorf("a session cookie as a flow: %v", err)
	}
	// Spelled as the other kind it is no better: the kind is hashed with it.
	if _, err := g.Flows().Consume(t.Context(), harbour, "f1."+sessionCookie[3:]); err != session.ErrNone {
		t.Errorf("a session cookie respelled: %v", err)
	}
	g.wantError(limits, "s1."+cookie[3:], session.ErrNone)
	if _, err := g.Flows().Consume(t.Context(), harbour, cookie); err != nil {
		t.Errorf("afterwards at its own: %v", err)
	}
}

func TestMalformedFlowCookieCostsNoQuery(t *testing.T) {
	g := newGate(t)
	reads := g.store.reads.Load()
	for name, value := range malformed(tokenOf(harbour).Reveal()) {
		value = strings.Replace(value, "s1.", "f1.", 1)
		if _, err := g.Flows().Peek(t.Context(), harbour, value); err != session.ErrNone {
			t.Errorf("%s: %v", name, err)
		}
	}
	if g.store.reads.Load() != reads {
		t.Error("SQL was asked")
	}
}

func TestPersonHasFiveFlowsAtMost(t *testing.T) {
	g := newGate(t)
	kept := g.begin(flowOf(doctor, g.clock.Now()))
	var cookies []string
	for range 12 {
		cookies = append(cookies, g.begin(flowOf(nurse, g.clock.Now())))
		g.clock.Advance(time.Second)
	}
	for i, cookie := range append(cookies, kept) {
		_, err := g.Flows().Peek(t.Context(), harbour, cookie)
		if (err == nil) != (i >= 7) {
			t.Errorf("flow %d: %v", i, err)
		}
	}
	if n := g.count(harbour, `SELECT count(*) FROM flow`); n != 6 {
		t.Errorf("%d rows", n)
	}
}

func TestForeignFlowRecordIsAnAlarm(t *testing.T) {
	g := newGate(t)
	for name, tamper := range map[string]string{
		"held too low": `UPDATE flow SET held = -1`, "held too high": `UPDATE flow SET held = 4`,
	} {
		cookie := g.begin(flowOf(nurse, g.clock.Now()))
		g.exec(harbour, tamper)
		before := g.Stats().Mismatches
		if _, err := g.Flows().Consume(t.Context(), harbour, cookie); !isUnavailable(err) || g.Stats().Mismatches != before+1 {
			t.Errorf("%s: %v, counted %d", name, err, g.Stats().Mismatches)
		}
	}
}

func TestFlowRefusesNonsense(t *testing.T) {
	g := newGate(t)
	for name, edit := range map[string]func(*session.Flow){
		"nobody":         func(f *session.Flow) { f.User = "" },
		"long id":        func(f *session.Flow) { f.User = strings.Repeat("x", 65) },
		"nothing proved": func(f *session.Flow) { f.ProvedAt = [4]time.Time{} },
		"the future":     func(f *session.Flow) { f.ProvedAt[1] = g.clock.Now().Add(31 * time.Second) },
		"no method":      func(f *session.Flow) { f.AMR = nil },
		"long return":    func(f *session.Flow) { f.Return = strings.Repeat("/", 8193) },
		"held":           func(f *session.Flow) { f.Held = 4 },
	} {
		f := flowOf(nurse, g.clock.Now())
		edit(&f)
		if token, err := g.Flows().Begin(t.Context(), harbour, f); err == nil || token.Reveal() != "" {
			t.Errorf("%s: begun", name)
		}
	}
	if _, err := g.Flows().Begin(t.Context(), "", flowOf(nurse, g.clock.Now())); !isUnavailable(err) {
		t.Errorf("no practice: %v", err)
	}
	if n := g.count(harbour, `SELECT count(*) FROM flow`); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestOnlyHashesAreStored(t *testing.T) {
	g := newGate(t)
	cookie, _ := g.signIn(limits, nurse)
	flow := g.begin(flowOf(nurse, g.clock.Now()))
	token, err := session.ParseToken(cookie)
	if err != nil {
		t.Fatal(err)
	}
	if n := g.count(harbour, `SELECT count(*) FROM session_token WHERE hash = $1`, token.Digest(harbour)); n != 1 {
		t.Error("the row is not under the hash")
	}
	if databasetest.On() {
		return // the statements are the same, the server's files are not ours to read
	}
	if !g.inFiles(nurse) {
		t.Fatal("the search finds nothing at all")
	}
	raw, err := base64.RawURLEncoding.DecodeString(cookie[3:])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{cookie, flow, cookie[3:], flow[3:], string(raw)} {
		if g.inFiles(text) {
			t.Error("a token is in the database files")
		}
	}
}
