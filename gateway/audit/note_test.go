package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/audit"
	"clinicgate/policy"
)

func refusal(reason, addr string) audit.Event {
	return audit.Event{Class: audit.Refusal, Action: "request_refused", Addr: addr, Detail: map[string]string{"reason": reason}}
}

func TestNoteWritesTheFirstAtOnceAndFoldsRepeats(t *testing.T) {
	b := newBench(t)
	for range 1000 {
		b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
	}
	b.log.Note(harbour, refusal("no_session", "203.0.113.10"))
	b.log.Note(harbour, refusal("bad_host", "203.0.113.9"))
	b.clock.add(3 * time.Second)
	b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
	b.flush()
	list := b.tail(100)
	var got []string
	for _, r := range list {
		got = append(got, fmt.Sprint(r.Detail["reason"], " ", r.Addr, " ", r.Detail["repeats"]))
	}
	want := []string{"no_session 203.0.113.9 ", "no_session 203.0.113.10 ", "bad_host 203.0.113.9 ", "no_session 203.0.113.9 1000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("records (-want +got):\n%s", diff)
	}
	last := list[3]
	if last.Detail["since"] != "2026-05-04T08:00:00Z" || last.Detail["until"] != "2026-05-04T08:00:03Z" {
		t.Errorf("the summary speaks of %v", last.Detail)
	}
	if s := b.log.Stats(); s.Folded != 1000 || s.Dropped != 0 || s.Appended != 4 {
		t.Errorf("stats = %+v", s)
	}
	b.wantIntact(4)
}

func TestNoteBeginsANewWindowAfterTenSeconds(t *testing.T) {
	b := newBench(t)
	for _, pause := range []time.Duration{0, 9999 * time.Millisecond, time.Millisecond} {
		b.clock.add(pause)
		b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
	}
	b.flush()
	var got []string
	for _, r := range b.tail(10) {
		got = append(got, r.Detail["repeats"])
	}
	if diff := cmp.Diff([]string{"", "1", ""}, got); diff != "" {
		t.Fatalf("repeats of the records (-want +got):\n%s", diff)
	}
}

// TestNoteFoldsAWholeIPv6Network: an attacker has 2^64 addresses of one /64.
func TestNoteFoldsAWholeIPv6Network(t *testing.T) {
	b := newBench(t)
	for i := range 500 {
		b.log.Note(harbour, refusal("no_session", fmt.Sprintf("2001:db8:1:2::%x", i+1)))
	}
	b.log.Note(harbour, refusal("no_session", "2001:db8:1:3::1"))
	b.log.Note(harbour, refusal("no_session", "::ffff:203.0.113.9"))
	b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
	b.flush()
	got := make(map[string]string)
	for _, r := range b.tail(100) {
		got[r.Addr] = r.Detail["repeats"]
	}
	want := map[string]string{"2001:db8:1:2::1": "", "2001:db8:1:3::1": "", "2001:db8:1:2::/64": "499", "::ffff:203.0.113.9": "", "203.0.113.9": "1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("repeats by address (-want +got):\n%s", diff)
	}
}

// TestFloodFromManyAddressesStaysBounded: 20,000 networks leave a few dozen rows, and
// the sum of what they say is still right.
func TestFloodFromManyAddressesStaysBounded(t *testing.T) {
	b := newBench(t)
	const n = 20_000
	for i := range n {
		b.log.Note(harbour, refusal("no_session", fmt.Sprintf("2001:db8:%x:%x::1", i>>8, i&255)))
	}
	b.flush()
	list := b.tail(audit.MaxTail)
	total := 0
	for _, r := range list {
		var repeats int
		if _, err := fmt.Sscan(r.Detail["repeats"], &repeats); err != nil {
			repeats = 1
		}
		total += repeats
	}
	if len(list) > 140 || total != n {
		t.Fatalf("%d rows that speak of %d refusals; want at most 140 of %d", len(list), total, n)
	}
}

func TestNoteKeepsTheActorOnlyWhenItIsTheSame(t *testing.T) {
	b := newBench(t)
	for _, actor := range []string{"a", "b", "b"} {
		e := refusal("not_your_role", "203.0.113.9")
		e.Actor, e.Subject = actor, "same"
		b.log.Note(harbour, e)
	}
	b.flush()
	last := b.tail(1)[0]
	if last.Actor != "" || last.Subject != "same" {
		t.Fatalf("summary has actor %q and subject %q", last.Actor, last.Subject)
	}
}

// TestNotesThatCannotBeWrittenAreCountedAndNoted: while the database refuses, Note
// neither blocks nor fails; afterwards the log says how many it does not have.
func TestNotesThatCannotBeWrittenAreCountedAndNoted(t *testing.T) {
	b := newBench(t)
	b.edit(b.file(harbour), `CREATE TRIGGER full BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	for i := range 5 {
		b.log.Note(harbour, refusal(fmt.Sprint("reason_", i), "203.0.113.9"))
	}
	for range 3 { // the record of the drops cannot be written either, and is owed again
		_ = b.log.Flush(t.Context())
	}
	if got := b.log.Dropped(); got != 5 {
		t.Fatalf("Dropped = %d, want 5", got)
	}
	b.edit(b.file(harbour), `DROP TRIGGER full`)
	b.flush()
	b.flush() // the first may have met a note that was under way when the trigger went
	total := 0
	for _, r := range b.tail(100) {
		var n int
		if _, err := fmt.Sscan(r.Detail["count"], &n); err != nil || r.Action != "refusals_dropped" {
			t.Fatalf("unexpected record %+v", r)
		}
		total += n
	}
	if total != 5 || b.log.Dropped() != 5 {
		t.Fatalf("the log speaks of %d dropped refusals, the counter of %d; want 5", total, b.log.Dropped())
	}
}

func TestNoteNeverBlocksOnAFullQueue(t *testing.T) {
	b, k := gated(t, 1)
	const n = 5000
	for i := range n { // different practices' worth of kinds, so that nothing folds
		b.log.Note(harbour, audit.Event{Class: audit.Refusal, Action: fmt.Sprint("action_", i), Addr: "203.0.113.9"})
	}
	if b.log.Dropped() == 0 {
		t.Error("nothing was dropped although nothing was written")
	}
	if s := b.log.Stats(); s.Waiting > 400 {
		t.Errorf("%d refusals wait, want at most the queue", s.Waiting)
	}
	k.open()
	b.flush()
	b.flush()
	recorded, dropped := int64(0), int64(0)
	for _, r := range b.tail(audit.MaxTail) {
		if r.Action == "refusals_dropped" {
			var count int64
			_, _ = fmt.Sscan(r.Detail["count"], &count)
			dropped += count
		} else {
			recorded++
		}
	}
	if recorded+dropped != n || dropped != b.log.Dropped() {
		t.Fatalf("%d recorded + %d noted as dropped (counter %d), want %d in all", recorded, dropped, b.log.Dropped(), n)
	}
}

func TestNoteForAnUnknownPracticeLeavesNothingBehind(t *testing.T) {
	b := newBench(t)
	for i := range 1000 {
		b.log.Note(policy.PracticeID(fmt.Sprint("nobody-", i)), refusal("x", "203.0.113.9"))
	}
	_ = b.log.Flush(t.Context())
	if got := b.log.Dropped(); got != 1000 {
		t.Errorf("Dropped = %d, want 1000", got)
	}
	if n := audit.Remembered(b.log); n != 0 {
		t.Errorf("%d things remembered of practices that do not exist", n)
	}
}

func TestNoteRefusesWhatIsNoEvent(t *testing.T) {
	b := newBench(t)
	b.log.Note(harbour, audit.Event{Class: "nonsense", Action: "x"})
	b.log.Note(harbour, audit.Event{Class: audit.Refusal})
	b.flush()
	if got := b.log.Dropped(); got != 2 || len(b.tail(10)) != 0 {
		t.Errorf("Dropped = %d with %d rows, want 2 and none", got, len(b.tail(10)))
	}
}

// TestRefusalsWithoutAPracticeAreCountedOnly: the registry holds no personal data.
func TestRefusalsWithoutAPracticeAreCountedOnly(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.log.NotePlatform(audit.Event{Class: audit.Refusal, Action: "unknown_host", Addr: "203.0.113.9"})
	}
	for i := range 1000 {
		b.log.NotePlatform(audit.Event{Class: audit.Refusal, Action: fmt.Sprint("action_", i)})
	}
	b.flush()
	got := b.log.Stats().Platform
	if got["unknown_host"] != 3 || len(got) > 65 || got["other"] != 1000-63 {
		t.Errorf("counts: unknown_host %d, other %d, %d kinds", got["unknown_host"], got["other"], len(got))
	}
}
