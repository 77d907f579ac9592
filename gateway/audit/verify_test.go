package audit_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

func TestVerifyAnUntouchedLogIsIntact(t *testing.T) {
	b := newBench(t)
	if r := b.verify(); !r.Intact || !strings.Contains(r.String(), "is empty") {
		t.Fatalf("a new log: %s %+v", r, r.Findings)
	}
	b.add(3)
	b.clock.add(90 * time.Minute)
	b.add(2)
	b.wantIntact(5)
	b.reopen()
	b.add(1)
	b.wantIntact(6)
	if r := b.verify(); r.First != 1 || r.Last != 6 || !r.SignedAt.Equal(b.clock.now()) || len(r.Warnings) > 1 {
		t.Fatalf("report = %+v", r)
	}
}

func TestVerifyZeroReportIsNotIntact(t *testing.T) {
	var r audit.Report
	if r.Intact || !strings.Contains(r.String(), "was not verified") {
		t.Fatalf("zero report: %s", r)
	}
}

func TestVerifyUnknownPracticeIsMissing(t *testing.T) {
	b := newBench(t)
	r, err := b.log.Verify(t.Context(), "nobody", nil)
	if !errors.Is(err, database.ErrMissing) || r.Intact {
		t.Fatalf("Verify = %+v, %v; want ErrMissing", r, err)
	}
}

// TestVerifyNamesTheFirstBadRow edits the database file as somebody would who has it:
// ten rows, one kind of tampering each.
func TestVerifyNamesTheFirstBadRow(t *testing.T) {
	const all = "practice, seq, at, class, action, actor, subject, addr, request, detail, prev, hash"
	swap := []string{
		`UPDATE audit_event SET seq = 1000 WHERE seq = 4`, `UPDATE audit_event SET seq = 4 WHERE seq = 7`,
		`UPDATE audit_event SET seq = 7 WHERE seq = 1000`,
	}
	for _, row := range []struct {
		name   string
		tamper []string
		kind   audit.Kind
		at     int64
	}{
		{"time altered", []string{`UPDATE audit_event SET at = at + 1 WHERE seq = 4`}, audit.Altered, 4},
		{"class altered", []string{`UPDATE audit_event SET class = 'sign_out' WHERE seq = 4`}, audit.Altered, 4},
		{"action altered", []string{`UPDATE audit_event SET action = 'x' WHERE seq = 1`}, audit.Altered, 1},
		{"actor altered", []string{`UPDATE audit_event SET actor = 'x' WHERE seq = 10`}, audit.Altered, 10},
		{"subject altered", []string{`UPDATE audit_event SET subject = '' WHERE seq = 4`}, audit.Altered, 4},
		{"address altered", []string{`UPDATE audit_event SET addr = '203.0.113.8' WHERE seq = 4`}, audit.Altered, 4},
		{"request altered", []string{`UPDATE audit_event SET request = '5' WHERE seq = 4`}, audit.Altered, 4},
		{"detail altered", []string{`UPDATE audit_event SET detail = '{"method":"passkey"}' WHERE seq = 4`}, audit.Altered, 4},
		{"detail spelled another way", []string{`UPDATE audit_event SET detail = '{"method": "password"}' WHERE seq = 4`}, audit.Altered, 4},
		{"detail with a key twice", []string{`UPDATE audit_event SET detail = '{"method":"x","method":"password"}' WHERE seq = 4`}, audit.Altered, 4},
		{"text moved between fields", []string{`UPDATE audit_event SET actor = 'person-1p', subject = 'erson-1' WHERE seq = 4`}, audit.Altered, 4},
		{"practice altered", []string{`UPDATE audit_event SET practice = 'acacia' WHERE seq = 4`}, audit.Foreign, 4},
		{"previous hash altered", []string{`UPDATE audit_event SET prev = zeroblob(32) WHERE seq = 4`}, audit.Altered, 4},
		{"hash altered", []string{`UPDATE audit_event SET hash = zeroblob(32) WHERE seq = 4`}, audit.Altered, 4},
		{"an empty text made a blob", []string{`UPDATE audit_event SET request = x'20' WHERE seq = 4`}, audit.Altered, 4},
		{"an empty text made null", []string{`CREATE TABLE t AS SELECT * FROM audit_event`, `UPDATE t SET request = NULL WHERE seq = 4`,
			`DROP TABLE audit_event`, `ALTER TABLE t RENAME TO audit_event`}, audit.Altered, 4},
		{"text made a blob", []string{`UPDATE audit_event SET actor = CAST(actor AS BLOB) WHERE seq = 4`}, audit.Altered, 4},
		{"a value of 50 MB", []string{`UPDATE audit_event SET detail = '{"method":"' || hex(zeroblob(25000000)) || '"}' WHERE seq = 4`}, audit.Altered, 4},
		{"first row deleted", []string{`DELETE FROM audit_event WHERE seq = 1`}, audit.Missing, 1},
		{"middle rows deleted", []string{`DELETE FROM audit_event WHERE seq IN (4, 5)`}, audit.Missing, 4},
		{"deleted and renumbered", []string{`DELETE FROM audit_event WHERE seq = 4`, `UPDATE audit_event SET seq = -(seq - 1) WHERE seq > 4`,
			`UPDATE audit_event SET seq = -seq WHERE seq < 0`}, audit.Reordered, 4},
		{"two rows swapped", swap, audit.Reordered, 4},
		{"row doubled", []string{`INSERT INTO audit_event SELECT practice, 11, at, class, action, actor, subject, addr, request, detail, prev, hash
			FROM audit_event WHERE seq = 10`}, audit.Reordered, 11},
		{"row before the first", []string{`INSERT INTO audit_event SELECT practice, 0, at, class, action, actor, subject, addr, request, detail, prev, hash
			FROM audit_event WHERE seq = 1`}, audit.Inserted, 0},
		{"row twice in a table without key", []string{`CREATE TABLE t AS SELECT * FROM audit_event`, `INSERT INTO t SELECT ` + all + ` FROM t WHERE seq = 4`,
			`DROP TABLE audit_event`, `ALTER TABLE t RENAME TO audit_event`}, audit.Inserted, 4},
		{"tail cut by one", []string{`DELETE FROM audit_event WHERE seq = 10`}, audit.TailCut, 10},
		{"tail cut by six", []string{`DELETE FROM audit_event WHERE seq > 4`}, audit.TailCut, 5},
		{"all rows deleted", []string{`DELETE FROM audit_event`}, audit.TailCut, 1},
		{"signed head deleted", []string{`DELETE FROM audit_head`}, audit.CheckpointMissing, 1},
		{"signed head emptied", []string{`UPDATE audit_head SET note = ''`}, audit.CheckpointForged, 1},
		{"size in the head altered", []string{`UPDATE audit_head SET note = replace(note, char(10) || '10' || char(10), char(10) || '9' || char(10))`},
			audit.CheckpointForged, 1},
		{"head of 3 MB", []string{`UPDATE audit_head SET note = hex(zeroblob(1500000))`}, audit.CheckpointForged, 1},
		{"everything deleted", []string{`DELETE FROM audit_event`, `DELETE FROM audit_head`, `DELETE FROM audit_checkpoint`}, audit.RolledBack, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.addPlain(10)
			b.tamper(b.file(harbour), row.tamper...)
			b.wantBad(row.kind, row.at)
		})
	}
}

// reseal recomputes every hash from row n on, as somebody does who knows the format
// but has no key.
func reseal(b *bench, from int64) {
	b.t.Helper()
	list := b.tail(audit.MaxTail)
	var statements []string
	for i := range list {
		if list[i].Seq < from {
			continue
		}
		if i > 0 {
			list[i].Prev = list[i-1].Hash
		}
		list[i].Hash = list[i].Sum()
		statements = append(statements, fmt.Sprintf(`UPDATE audit_event SET prev = x'%s', hash = x'%s' WHERE seq = %d`,
			hex.EncodeToString(list[i].Prev[:]), list[i].Hash, list[i].Seq))
	}
	b.tamper(b.file(harbour), statements...)
}

func TestVerifyFindsAChainRecomputedWithoutTheKey(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.clock.add(time.Hour) // row 3 is the last of its hour: an hourly checkpoint
	b.add(5)
	b.clock.add(time.Hour) // and row 8
	b.add(2)
	b.tamper(b.file(harbour), `UPDATE audit_event SET actor = 'somebody else' WHERE seq = 6`)
	reseal(b, 6)
	r := b.verify()
	bad, _ := r.FirstBad()
	if bad.Kind != audit.Rewritten || bad.Row != 4 || bad.To != 8 {
		t.Fatalf("first bad = %+v, want rewritten, rows 4 to 8 (between the checkpoints); all: %+v", bad, r.Findings)
	}
}

func TestVerifyFindsOneRowReplacedByARecomputedOne(t *testing.T) {
	b := newBench(t)
	b.add(10)
	b.tamper(b.file(harbour), `UPDATE audit_event SET actor = 'somebody else' WHERE seq = 6`)
	r := b.tail(5)[0]
	b.tamper(b.file(harbour), fmt.Sprintf(`UPDATE audit_event SET hash = x'%s' WHERE seq = 6`, r.Sum()))
	b.wantBad(audit.Altered, 6)
}

func TestVerifyFindsTheLastRowReplacedByARecomputedOne(t *testing.T) {
	b := newBench(t)
	b.add(10)
	b.tamper(b.file(harbour), `UPDATE audit_event SET actor = 'somebody else' WHERE seq = 10`)
	reseal(b, 10)
	b.wantBad(audit.Rewritten, 1)
}

// TestVerifyNeedsNeitherCopyNorHeadAlone: a recomputed chain is found by the signed head
// when the registry's copy is gone, and by the copy when the head is.
func TestVerifyNeedsNeitherCopyNorHeadAlone(t *testing.T) {
	for _, row := range []struct{ name, registry, practice string }{
		{"copy removed", `DELETE FROM audit_head`, `DELETE FROM audit_checkpoint`},
		{"head removed", `UPDATE audit_head SET size = size`, `DELETE FROM audit_head`},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.add(10)
			b.tamper(b.file(harbour), `UPDATE audit_event SET actor = 'somebody else' WHERE seq = 6`, row.practice)
			b.edit(b.registry(), row.registry)
			reseal(b, 6)
			r := b.verify()
			if !slices.ContainsFunc(r.Findings, func(f audit.Finding) bool { return f.Kind == audit.Rewritten && f.Row == 1 && f.To == 10 }) {
				t.Fatalf("findings = %+v, want rows 1 to 10 rewritten", r.Findings)
			}
			if gone := len(r.Warnings) == 1; gone != (row.name == "copy removed") {
				t.Errorf("warnings = %q", r.Warnings)
			}
		})
	}
}

func TestVerifyFindsANewBeginning(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.tamper(b.file(harbour), `UPDATE audit_event SET prev = zeroblob(32) WHERE seq = 1`)
	reseal(b, 1)
	b.wantBad(audit.Rewritten, 1)
	if first := b.verify().Findings[0]; !strings.Contains(first.Sentence, "where the log begins") {
		t.Errorf("first finding = %+v", first)
	}
}

func TestDamageToTheHeadIsRecorded(t *testing.T) {
	for want, tamper := range map[string]string{
		"head_missing": `DELETE FROM audit_head`, "head_forged": `UPDATE audit_head SET note = 'x'`,
	} {
		b := newBench(t)
		b.add(3)
		b.tamper(b.file(harbour), tamper)
		b.add(1)
		list := b.tail(2)
		if list[0].Action != "audit_log_damaged" || list[0].Detail["reason"] != want || list[0].Detail["goes_on_at"] != "4" {
			t.Errorf("%s: the log says %+v", want, list[0].Event)
		}
		b.wantIntact(5)
	}
}

func TestVerifyFindsAHeadSignedWithAnotherKey(t *testing.T) {
	for _, row := range []struct {
		name string
		keys keyring
		id   policy.PracticeID
		kind audit.Kind
	}{
		{"another key of that name", "thief", harbour, audit.KeyUnknown},
		{"another practice's key", "master", "acacia", audit.KeyUnknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.add(4)
			last := b.tail(1)[0]
			signer, _, err := row.keys.CheckpointKey(t.Context(), row.id)
			if err != nil {
				t.Fatal(err)
			}
			b.tamper(b.file(harbour), setNote("audit_head", forge(t, "clinicgate/audit/checkpoint/v1 harbour", 4, last.Hash, signer)))
			b.wantBad(row.kind, 1)
		})
	}
}

// TestVerifyFindsAnAnchorPassedOffAsAHead: both are signed with the same key.
func TestVerifyFindsAnAnchorPassedOffAsAHead(t *testing.T) {
	b := newBench(t)
	b.add(4)
	last := b.tail(1)[0]
	signer, _, err := b.keys.CheckpointKey(t.Context(), harbour)
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"clinicgate/audit/anchor/v1 harbour", "clinicgate/audit/checkpoint/v1 acacia", ""} {
		b.tamper(b.file(harbour), setNote("audit_head", forge(t, origin, 4, last.Hash, signer)))
		b.wantBad(audit.CheckpointForged, 1)
	}
}

func TestVerifyFindsAForgedHourlyCheckpoint(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.clock.add(time.Hour)
	b.add(3)
	b.wantIntact(6)
	for _, forged := range []string{`replace(note, 'T08', 'T07')`, `''`, `x'00'`, `hex(zeroblob(9999))`} {
		b.tamper(b.file(harbour), `UPDATE audit_checkpoint SET note = `+forged)
		b.wantBad(audit.CheckpointForged, 3)
	}
}

func TestVerifyFindsAnOlderCopyOfTheFile(t *testing.T) {
	b := newBench(t)
	b.add(5)
	b.close()
	old := b.dir + "/old.db"
	b.copyFile(b.file(harbour), old)
	b.open()
	b.add(4)
	b.close()
	b.copyFile(old, b.file(harbour))
	b.open()
	b.wantBad(audit.RolledBack, 6)

	// The log goes on, records what it found, and never covers the hole.
	b.add(1)
	if n := b.counts()["audit_log_damaged"]; n != 1 {
		t.Errorf("%d records of the damage, want 1", n)
	}
	if b.log.Stats().Damaged != 1 {
		t.Errorf("Stats().Damaged = %d, want 1", b.log.Stats().Damaged)
	}
	for range 3 {
		b.reopen()
		b.add(20)
		b.wantBad(audit.Missing, 6)
	}
}

// TestRollbackUnderARunningGateway: the process remembers what it wrote even when the
// registry was put back too.
func TestRollbackUnderARunningGateway(t *testing.T) {
	b := newBench(t)
	b.add(5)
	b.flush()
	oldHead := b.text(b.file(harbour), `SELECT note FROM audit_head`)
	b.add(4)
	b.edit(b.file(harbour), `DELETE FROM audit_event WHERE seq > 5`, setNote("audit_head", oldHead))
	b.edit(b.registry(), setNote("audit_head", oldHead), `UPDATE audit_head SET size = 5`)
	b.add(1)
	b.wantBad(audit.Missing, 6)
}

func TestTailCutIsNotCoveredByLaterRecords(t *testing.T) {
	for _, row := range []struct {
		name   string
		tamper []string
		kind   audit.Kind
	}{
		{"rows cut", []string{`DELETE FROM audit_event WHERE seq > 7`}, audit.Missing},
		{"rows and head cut", []string{`DELETE FROM audit_event WHERE seq > 7`, `DELETE FROM audit_head`}, audit.Missing},
		{"rows cut and head broken", []string{`DELETE FROM audit_event WHERE seq > 7`, `UPDATE audit_head SET note = 'x'`}, audit.Missing},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.add(10)
			b.tamper(b.file(harbour), row.tamper...)
			b.add(20)
			b.wantBad(row.kind, 8)
			b.reopen()
			b.add(1)
			b.wantBad(row.kind, 8)
		})
	}
}

// TestPlantedRowIsSteppedOver: a row with a right hash behind the signed head neither
// stops the log nor becomes part of it.
func TestPlantedRowIsSteppedOver(t *testing.T) {
	b := newBench(t)
	b.add(5)
	planted := b.tail(1)[0]
	planted.Seq, planted.Prev, planted.Actor = 6, planted.Hash, "planted"
	planted.Hash = planted.Sum()
	b.tamper(b.file(harbour), fmt.Sprintf(`INSERT INTO audit_event SELECT practice, 6, at, class, action, 'planted', subject, addr, request, detail, x'%s', x'%s'
		FROM audit_event WHERE seq = 5`, planted.Prev, planted.Hash))
	b.wantBad(audit.Inserted, 6)
	b.add(5)
	b.wantBad(audit.Inserted, 6)
}

func TestPlantedRowWithAHugeNumberStopsNobody(t *testing.T) {
	for _, seq := range []string{"9223372036854775807", "'text'", "1e300"} {
		b := newBench(t)
		b.add(2)
		b.tamper(b.file(harbour), `INSERT INTO audit_event SELECT practice, `+seq+`, at, class, action, actor, subject, addr, request, detail, prev, hash
			FROM audit_event WHERE seq = 2`)
		b.add(2)
		if r := b.verify(); r.Intact {
			t.Errorf("a row numbered %s passes", seq)
		}
	}
}

func TestForgedCopyInTheRegistryIsFoundAndReplaced(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.tamper(b.registry(), `UPDATE audit_head SET note = 'forged', size = 1000000`)
	b.wantBad(audit.CheckpointForged, 1)
	b.add(2)
	b.flush()
	if n := b.counts()["audit_log_damaged"]; n != 1 {
		t.Fatalf("%d records of the damage, want 1", n)
	}
	b.wantIntact(6)
	if copied, head := b.text(b.registry(), `SELECT note FROM audit_head`), b.text(b.file(harbour), `SELECT note FROM audit_head`); copied != head {
		t.Fatalf("the registry has\n%s\nwant\n%s", copied, head)
	}
}

// TestCopyInTheRegistryIsNeverReplacedByAnOlderOne: of two processes the slower one comes last.
func TestCopyInTheRegistryIsNeverReplacedByAnOlderOne(t *testing.T) {
	b := newBench(t)
	faster := audit.New(audit.Options{DB: b.set, Vault: b.keys, Now: b.clock.now})
	b.add(3)
	for range 3 {
		if err := faster.Append(t.Context(), harbour, event("second_process")); err != nil {
			t.Fatal(err)
		}
	}
	if err := faster.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.flush()
	if copied := b.text(b.registry(), `SELECT note FROM audit_head`); !strings.Contains(copied, "\n6\n") {
		t.Fatalf("the registry's copy is not of row 6:\n%s", copied)
	}
	b.wantIntact(6)
}

func TestVerifyOnManyFindingsIsBounded(t *testing.T) {
	b := newBench(t)
	b.add(100)
	b.tamper(b.file(harbour), `UPDATE audit_event SET actor = 'x'`)
	r := b.verify()
	if len(r.Findings) != 20 || r.More != 80 || r.Findings[0].Row != 1 {
		t.Fatalf("%d findings and %d more, first %+v; want 20, 80, row 1", len(r.Findings), r.More, r.Findings[0])
	}
}

func TestVerifyReportsProgress(t *testing.T) {
	b := newBench(t)
	b.add(5)
	var last [2]int64
	if _, err := b.log.Verify(t.Context(), harbour, func(done, total int64) { last = [2]int64{done, total} }); err != nil {
		t.Fatal(err)
	}
	if last != [2]int64{5, 5} {
		t.Fatalf("last progress = %v, want 5 of 5", last)
	}
}

// forge signs a head as somebody with another key would.
func forge(t *testing.T, origin string, seq int64, hash audit.Hash, signer note.Signer) string {
	t.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n2026-05-04T08:00:00.000000Z\n", origin, seq, base64.StdEncoding.EncodeToString(hash[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func setNote(table, text string) string {
	return `UPDATE ` + table + ` SET note = '` + strings.ReplaceAll(text, "'", "''") + `'`
}
