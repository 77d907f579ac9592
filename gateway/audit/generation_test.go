package audit_test

import (
	"testing"
	"time"

	"clinicgate/gateway/audit"
)

// renew removes harbour and makes it again, as the next generation, at once.
func (b *bench) renew(generation int64) {
	b.t.Helper()
	if err := b.set.Remove(b.t.Context(), harbour); err != nil {
		b.t.Fatal(err)
	}
	if err := b.set.CreateGeneration(b.t.Context(), harbour, generation); err != nil {
		b.t.Fatal(err)
	}
}

// TestNextGenerationBeginsItsOwnLog (THREATS T5): nobody told this process that harbour
// was removed and made again. What it remembers of the first log is not missed in the
// second, and the registry's copy follows.
func TestNextGenerationBeginsItsOwnLog(t *testing.T) {
	for name, flushed := range map[string]bool{"copied to the registry": true, "not copied yet": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.add(5)
			if flushed {
				b.flush()
			}
			b.renew(2)
			b.add(2)
			b.wantIntact(2)
			b.flush()
			b.wantIntact(2)
			if b.log.Stats().Damaged != 0 || b.counts()["audit_log_damaged"] != 0 {
				t.Error("the beginning is taken for damage")
			}
			if r := b.verify(); len(r.Warnings) > 0 {
				t.Errorf("the registry has no copy of the new head: %v", r.Warnings)
			}
			b.reopen()
			b.tamper(b.file(harbour), `DELETE FROM audit_event`, `DELETE FROM audit_head`)
			b.wantBad(audit.RolledBack, 1)
		})
	}
}

// TestLateCopyOfAnEarlierGenerationReplacesNothing: a process that was slow to copy the
// last head of the removed practice, which is further on than the new one's.
func TestLateCopyOfAnEarlierGenerationReplacesNothing(t *testing.T) {
	b := newBench(t)
	slow := audit.New(audit.Options{DB: b.set, Vault: b.keys, Now: b.clock.now})
	for range 9 {
		if err := slow.Append(t.Context(), harbour, event("before")); err != nil {
			t.Fatal(err)
		}
	}
	audit.HoldCopies(slow)
	b.renew(2)
	b.add(2)
	b.flush()
	audit.ReleaseCopies(slow)
	if err := slow.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.add(1)
	b.flush()
	b.wantIntact(3)
	if r := b.verify(); len(r.Warnings) > 0 {
		t.Errorf("the new head's copy is lost: %v", r.Warnings)
	}
}

// TestRemovedPracticesRefusalsAreNotTheNextOnes: windows that were open end unwritten.
func TestRemovedPracticesRefusalsAreNotTheNextOnes(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.log.Note(harbour, refusal("no_session", "203.0.113.9"))
	}
	if err := audit.Settle(t.Context(), b.log); err != nil {
		t.Fatal(err)
	}
	b.log.Forget(harbour)
	b.renew(2)
	b.clock.add(time.Hour)
	b.flush()
	if list := b.tail(10); len(list) != 0 {
		t.Errorf("the new log holds %+v", list)
	}
	b.close()
	b.open()
}
