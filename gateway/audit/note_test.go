package audit_test

import (
	"fmt"
	"strings"
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

// TestWindowsFollowEachOtherAndGrow: what goes on and on, a page that polls all night,
// leaves few rows, and each names a path as an example.
func TestWindowsFollowEachOtherAndGrow(t *testing.T) {
	b := newBench(t)
	for i := range 3600 / 5 {
		e := refusal("no_session", "203.0.113.9")
		e.Detail["path"], e.Request = fmt.Sprint("/poll/", i), fmt.Sprint("req-", i)
		b.log.Note(harbour, e)
		b.clock.add(5 * time.Second)
	}
	b.flush()
	var got []string
	for _, r := range b.tail(1000) {
		got = append(got, fmt.Sprint(r.Detail["repeats"], " ", r.Detail["path"], " ", r.Request))
	}
	want := []string{
		" /poll/0 req-0", "1 /poll/1 req-1", // 10 s
		"8 /poll/2 req-2", "32 /poll/10 req-10", "120 /poll/42 req-42", // 40 s, 160 s, and then 10 minutes each
		"120 /poll/162 req-162", "120 /poll/282 req-282", "120 /poll/402 req-402", "120 /poll/522 req-522", "78 /poll/642 req-642",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("records (-want +got):\n%s", diff)
	}
}

func TestQuietWindowIsForgotten(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
		b.clock.add(10 * time.Second)
	}
	b.flush()
	var got []string
	for _, r := range b.tail(10) {
		got = append(got, r.Detail["repeats"])
	}
	if diff := cmp.Diff([]string{"", "", ""}, got); diff != "" {
		t.Fatalf("repeats of the records (-want +got):\n%s", diff)
	}
}

// TestPathOfASummaryIsBoundedAndEscapedOnce: it is as hostile as the first one's.
func TestPathOfASummaryIsBoundedAndEscapedOnce(t *testing.T) {
	b := newBench(t)
	hostile := "/a\\b\n\x1b[31m" + strings.Repeat("x", 1<<20)
	for range 2 {
		e := refusal("no_session", "203.0.113.9")
		e.Detail["path"] = hostile
		b.log.Note(harbour, e)
	}
	b.flush()
	list := b.tail(2)
	if got, want := list[1].Detail["path"], list[0].Detail["path"]; got != want || len(got) > 4*audit.MaxField {
		t.Fatalf("the summary's path is %.80q, the first one's %.80q", got, want)
	}
	b.wantIntact(2)
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

// TestTwoPeoplesRefusalsNeverFold, nor do a refusal and a report of one, or two accounts
// that somebody tries.
func TestTwoPeoplesRefusalsNeverFold(t *testing.T) {
	b := newBench(t)
	for range 2 {
		for _, who := range []struct{ actor, stage, account string }{
			{"a", "", ""}, {"b", "", ""}, {"a", "report", ""}, {"", "", "0f0f"}, {"", "", "1e1e"},
		} {
			e := refusal("not_your_role", "203.0.113.9")
			e.Actor, e.Detail["stage"], e.Detail["account"] = who.actor, who.stage, who.account
			b.log.Note(harbour, e)
		}
	}
	b.flush()
	got := make(map[string]string)
	for _, r := range b.tail(100)[5:] {
		got[r.Actor+" "+r.Detail["stage"]+" "+r.Detail["account"]] = r.Detail["repeats"]
	}
	want := map[string]string{"a  ": "1", "b  ": "1", "a report ": "1", "  0f0f": "1", "  1e1e": "1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("summaries (-want +got):\n%s", diff)
	}
}

func TestSubjectStaysOnlyWhenItIsTheSame(t *testing.T) {
	b := newBench(t)
	for _, subject := range []string{"x", "y", "y"} {
		e := refusal("not_your_role", "203.0.113.9")
		e.Actor, e.Subject = "a", subject
		b.log.Note(harbour, e)
	}
	b.flush()
	if last := b.tail(1)[0]; last.Actor != "a" || last.Subject != "" {
		t.Fatalf("summary has actor %q and subject %q", last.Actor, last.Subject)
	}
}

// TestReportNamesEveryPerson: a clinic of 300 at one address tries a new rule for a
// morning. Everybody it would stop is in the log by name, and the log stays small.
func TestReportNamesEveryPerson(t *testing.T) {
	b := newBench(t)
	const people, hours = 300, 3
	for range hours * 6 {
		for i := range people {
			e := refusal("second_factor_needed", "203.0.113.9")
			e.Actor, e.Detail["stage"] = fmt.Sprint("person-", i), "report"
			b.log.Note(harbour, e)
			if i%50 == 49 { // as fast as a disk takes them
				if err := audit.Settle(t.Context(), b.log); err != nil {
					t.Fatal(err)
				}
			}
		}
		b.clock.add(10 * time.Minute)
	}
	b.flush()
	list := b.tail(audit.MaxTail)
	named := make(map[string]bool)
	for _, r := range list {
		named[r.Actor] = true
	}
	if len(named) != people || len(list) > people*(hours+1) || b.log.Dropped() != 0 {
		t.Fatalf("%d rows name %d people, %d dropped; want all %d in at most one row an hour", len(list), len(named), b.log.Dropped(), people)
	}
}

// TestFloodPushesOutNobody: strangers and one person of the practice refuse to stop;
// what happens to others is recorded as ever, with their addresses.
func TestFloodPushesOutNobody(t *testing.T) {
	b := newBench(t)
	flood := func() {
		for i := range 5000 {
			addr := fmt.Sprintf("2001:db8:%x:%x::1", i>>8, i&255)
			stranger := refusal("no_session", addr)
			stranger.Action, stranger.Detail["account"] = fmt.Sprint("action_", i%100), fmt.Sprint(i)
			b.log.Note(harbour, stranger)
			insider := refusal("not_your_role", addr)
			insider.Action, insider.Actor = fmt.Sprint("action_", i%100), "insider"
			b.log.Note(harbour, insider)
		}
	}
	flood()
	for i := range 40 { // the queue holds what the flood left in it
		e := refusal("not_your_role", "198.51.100.7")
		e.Actor = fmt.Sprint("person-", i)
		b.log.Note(harbour, e)
	}
	flood()
	b.flush()
	named, rows := make(map[string]bool), 0
	for _, r := range b.tail(audit.MaxTail) {
		rows++
		if r.Addr == "198.51.100.7" {
			named[r.Actor] = true
		}
	}
	if len(named) != 40 || rows > 2*(128+32)+40+10 {
		t.Fatalf("%d of 40 people are named in %d rows", len(named), rows)
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

// TestStrangersNeverFillTheQueue: the disk stands still while strangers are refused in
// every way there is; there is still room for people.
func TestStrangersNeverFillTheQueue(t *testing.T) {
	b, k := gated(t, 1)
	for range 3 {
		for i := range 200 {
			b.log.Note(harbour, audit.Event{Class: audit.Refusal, Action: fmt.Sprint("action_", i), Addr: "203.0.113.9"})
		}
		b.clock.add(11 * time.Second)
	}
	for i := range 40 {
		e := refusal("not_your_role", "198.51.100.7")
		e.Actor = fmt.Sprint("person-", i)
		b.log.Note(harbour, e)
	}
	k.open()
	b.flush()
	named := make(map[string]bool)
	for _, r := range b.tail(audit.MaxTail) {
		if strings.HasPrefix(r.Actor, "person-") {
			named[r.Actor] = true
		}
	}
	if len(named) != 40 {
		t.Fatalf("%d of 40 people are named", len(named))
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
	until(t, func() bool { return audit.Remembered(b.log) == 0 }) // writers are on their way out
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
