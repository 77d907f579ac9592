package audit_test

import (
	"testing"
	"time"

	"clinicgate/gateway/audit"
)

func (b *bench) prune(before time.Time) audit.Pruned {
	b.t.Helper()
	p, err := b.log.Prune(b.t.Context(), harbour, before)
	if err != nil {
		b.t.Fatalf("Prune: %v", err)
	}
	return p
}

// aged makes a bench with 4 + 4 + 4 rows, a day apart, and returns the times between.
func aged(t *testing.T) (b *bench, first, second time.Time) {
	b = newBench(t)
	b.add(4)
	b.clock.add(24 * time.Hour)
	first = b.clock.now()
	b.add(4)
	b.clock.add(24 * time.Hour)
	second = b.clock.now()
	b.add(4)
	return b, first, second
}

func TestPruneLeavesARestThatVerifies(t *testing.T) {
	b, first, second := aged(t)
	if got := b.prune(first.Add(-48 * time.Hour)); got.Rows != 0 || got.Until != 0 {
		t.Fatalf("pruning nothing = %+v", got)
	}
	b.wantIntact(12)
	if got := b.prune(first); got != (audit.Pruned{Rows: 4, Until: 4, Intact: true}) {
		t.Fatalf("Prune = %+v", got)
	}
	b.wantIntact(9)
	if left := b.text(b.file(harbour), `SELECT group_concat(size) FROM audit_checkpoint`); left != "8" {
		t.Errorf("hourly checkpoints left: of rows %s, want 8", left)
	}
	if r := b.verify(); r.First != 5 || r.Last != 13 || r.Pruned != 4 {
		t.Fatalf("report = %+v", r)
	}
	b.add(2)
	b.reopen()
	if got := b.prune(second); got.Rows != 4 || got.Until != 8 {
		t.Fatalf("second Prune = %+v", got)
	}
	b.wantIntact(8)
	if r := b.verify(); r.Pruned != 8 {
		t.Fatalf("pruned in all = %d, want 8", r.Pruned)
	}
	last := b.tail(1)[0]
	if last.Action != "audit_log_pruned" || last.Class != audit.System || last.Detail["rows"] != "4" || last.Detail["until"] != "8" || last.Detail["intact"] != "true" {
		t.Errorf("the record of the pruning is %+v", last)
	}
}

func TestPruneKeepsTheNewestRow(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.clock.add(1000 * time.Hour)
	if got := b.prune(b.clock.now()); got.Rows != 2 {
		t.Fatalf("Prune = %+v, want 2 rows", got)
	}
	b.wantIntact(2)
}

func TestPruneStopsAtTheFirstRowThatIsNotOld(t *testing.T) {
	b := newBench(t)
	b.add(2)
	b.clock.add(time.Hour)
	b.add(1)
	border := b.clock.now()
	b.clock.add(-time.Hour) // the clock was set back
	b.add(1)
	b.clock.add(2 * time.Hour)
	b.add(1)
	if got := b.prune(border); got.Rows != 2 || got.Until != 2 {
		t.Fatalf("Prune = %+v, want the first 2 rows", got)
	}
	b.wantIntact(4)
}

func TestPruneInTheFutureIsRefused(t *testing.T) {
	b := newBench(t)
	b.add(3)
	if _, err := b.log.Prune(t.Context(), harbour, b.clock.now().Add(time.Second)); err == nil {
		t.Error("Prune took a date in the future")
	}
	b.wantIntact(3)
}

func TestPrunedLogStillShowsTampering(t *testing.T) {
	for _, row := range []struct {
		name   string
		tamper string
		kind   audit.Kind
		at     int64
	}{
		{"a row altered", `UPDATE audit_event SET actor = 'x' WHERE seq = 7`, audit.Altered, 7},
		{"more rows removed from the beginning", `DELETE FROM audit_event WHERE seq < 7`, audit.Missing, 5},
		{"the anchor removed", `DELETE FROM audit_anchor`, audit.Missing, 1},
		{"the anchor altered", `UPDATE audit_anchor SET note = replace(note, char(10) || '4' || char(10), char(10) || '5' || char(10))`, audit.CheckpointForged, 1},
		{"the head as anchor", `UPDATE audit_anchor SET note = (SELECT note FROM audit_head)`, audit.CheckpointForged, 1},
		{"a pruned row put back", `INSERT INTO audit_event SELECT practice, 4, at, class, action, actor, subject, addr, request, detail, prev, hash
			FROM audit_event WHERE seq = 5`, audit.Inserted, 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			b, first, _ := aged(t)
			b.prune(first)
			b.tamper(b.file(harbour), row.tamper)
			b.wantBad(row.kind, row.at)
		})
	}
}

// TestPruneDoesNotHideDamage: what was wrong with the rows that went stays on record.
func TestPruneDoesNotHideDamage(t *testing.T) {
	b, first, _ := aged(t)
	b.tamper(b.file(harbour), `UPDATE audit_event SET actor = 'x' WHERE seq = 3`)
	if got := b.prune(first); got.Intact {
		t.Fatal("Prune says that altered rows were intact")
	}
	last := b.tail(1)[0]
	if last.Detail["intact"] != "false" || last.Detail["first_bad"] != "3" || last.Detail["what"] != string(audit.Altered) {
		t.Fatalf("the record of the pruning says %v", last.Detail)
	}
}

func TestPruneOfManyRowsGoesInSteps(t *testing.T) {
	b := newBench(t)
	n := 2*audit.PruneBatch + 10
	b.addMany(n)
	b.clock.add(time.Hour)
	b.add(1)
	if got := b.prune(b.clock.now()); got.Rows != int64(n) || !got.Intact {
		t.Fatalf("Prune = %+v, want %d rows", got, n)
	}
	b.wantIntact(1 + 3)
	if got := b.counts()["audit_log_pruned"]; got != 3 {
		t.Errorf("%d records of the pruning, want one for each of 3 transactions", got)
	}
}

func TestPruneBesideAppends(t *testing.T) {
	b, first, second := aged(t)
	done := make(chan error, 1)
	go func() {
		for range 50 {
			if err := b.log.Append(t.Context(), harbour, event("beside")); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	b.prune(first)
	b.prune(second)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.wantIntact(4 + 50 + 2)
}
