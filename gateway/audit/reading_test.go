package audit_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/audit"
)

// requestSet collects the request ids of a JSONL export.
type requestSet struct {
	seen map[string]bool
	rest []byte
}

func requestsOf(seen map[string]bool) io.Writer { return &requestSet{seen: seen} }

func (s *requestSet) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		var r struct {
			Request string `json:"request_id"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return 0, err
		}
		s.seen[r.Request] = true
		s.rest = rest
	}
}

func (b *bench) export(format audit.Format, within audit.Range) string {
	b.t.Helper()
	var out strings.Builder
	if err := b.log.Export(b.t.Context(), harbour, format, within, &out); err != nil {
		b.t.Fatalf("Export: %v", err)
	}
	return out.String()
}

func TestExportJSONL(t *testing.T) {
	b := newBench(t)
	b.append(event("password_accepted"))
	r := b.tail(1)[0]
	want := fmt.Sprintf(`{"seq":1,"time":"2026-05-04T08:00:00.000000Z","practice":"harbour","class":"sign_in","action":"password_accepted",`+
		`"actor":"person-1","subject":"person-1","address":"203.0.113.9","request_id":"req-1","detail":{"method":"password"},`+
		`"previous_hash":"%s","hash":"%s"}`+"\n", r.Prev, r.Hash)
	if diff := cmp.Diff(want, b.export(audit.JSONL, audit.Range{})); diff != "" {
		t.Fatalf("export (-want +got):\n%s", diff)
	}
}

func TestExportCSVIsRFC4180(t *testing.T) {
	b := newBench(t)
	e := event("password_accepted")
	e.Subject = `say "hi", then leave`
	b.append(e)
	text := b.export(audit.CSV, audit.Range{})
	if strings.Count(text, "\r\n") != 2 || strings.Count(text, "\n") != 2 || !strings.HasPrefix(text, "seq,time,practice,class,action,") {
		t.Fatalf("not RFC 4180 lines with a header:\n%q", text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	r := b.tail(1)[0]
	want := []string{"1", "2026-05-04T08:00:00.000000Z", "harbour", "sign_in", "password_accepted", "person-1", `say "hi", then leave`,
		"203.0.113.9", "req-1", `{"method":"password"}`, r.Prev.String(), r.Hash.String(), ""}
	if diff := cmp.Diff(want, rows[1]); diff != "" {
		t.Fatalf("row (-want +got):\n%s", diff)
	}
}

// TestExportCSVNeverRunsInASpreadsheet: THREATS A3.
func TestExportCSVNeverRunsInASpreadsheet(t *testing.T) {
	b := newBench(t)
	payloads := []string{`=1+1`, `+1`, `-1`, `@SUM(A1)`, `=HYPERLINK("https://evil.test","x")`, `=cmd|' /C calc'!A0`, " =1", "'=1", "\t=1", "\r=1",
		"\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20A", "\u00a0=1", "|calc"}
	for _, p := range payloads {
		b.append(audit.Event{Class: audit.Refusal, Action: p, Actor: p, Subject: p, Addr: p, Request: p, Detail: map[string]string{p: p}})
	}
	rows, err := csv.NewReader(strings.NewReader(b.export(audit.CSV, audit.Range{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(payloads)+1 {
		t.Fatalf("%d rows, want %d", len(rows), len(payloads)+1)
	}
	for _, row := range rows[1:] {
		for _, cell := range row {
			if bare := strings.TrimLeft(cell, " \u00a0"); bare != "" && strings.ContainsAny(bare[:1], "=+-@\t\r\n|") || strings.ContainsAny(cell, "\t\r\n") {
				t.Errorf("the cell %q would run", cell)
			}
			for _, wide := range "\uff1d\uff0b\uff0d\uff20" {
				if strings.HasPrefix(cell, string(wide)) {
					t.Errorf("the cell %q would run", cell)
				}
			}
		}
	}
}

func TestExportTakesARangeOfTime(t *testing.T) {
	b := newBench(t)
	start := b.clock.now()
	for range 5 {
		b.add(1)
		b.clock.add(time.Hour)
	}
	for _, row := range []struct {
		name     string
		from, to time.Duration // 0 = open
		want     int
	}{
		{"everything", 0, 0, 5}, {"from the second", time.Hour, 0, 4}, {"up to the third, without it", 0, 2 * time.Hour, 2},
		{"one", time.Hour, 2 * time.Hour, 1}, {"none", 10 * time.Hour, 11 * time.Hour, 0},
	} {
		var within audit.Range
		if row.from > 0 {
			within.From = start.Add(row.from)
		}
		if row.to > 0 {
			within.To = start.Add(row.to)
		}
		if got := strings.Count(b.export(audit.JSONL, within), "\n"); got != row.want {
			t.Errorf("%s: %d records, want %d", row.name, got, row.want)
		}
	}
}

func TestExportOfManyPagesIsComplete(t *testing.T) {
	b := newBench(t)
	const n = 1203
	b.addMany(n)
	seen := make(map[string]bool)
	if err := b.log.Export(t.Context(), harbour, audit.JSONL, audit.Range{}, requestsOf(seen)); err != nil {
		t.Fatal(err)
	}
	if len(seen) != n {
		t.Fatalf("%d different records exported, want %d", len(seen), n)
	}
}

func TestExportRefusesAnUnknownFormat(t *testing.T) {
	b := newBench(t)
	err := b.log.Export(t.Context(), harbour, "xlsx", audit.Range{}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "jsonl or csv") {
		t.Errorf("Export = %v", err)
	}
	if _, err := audit.ParseFormat("CSV\x1b"); err == nil {
		t.Error("ParseFormat took garbage")
	}
	for _, ok := range []string{"csv", "jsonl"} {
		if _, err := audit.ParseFormat(ok); err != nil {
			t.Error(err)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestExportReturnsTheWritersError(t *testing.T) {
	b := newBench(t)
	b.add(1)
	gone := errors.New("the reader has gone")
	for _, format := range []audit.Format{audit.JSONL, audit.CSV} {
		if err := b.log.Export(t.Context(), harbour, format, audit.Range{}, failingWriter{gone}); !errors.Is(err, gone) {
			t.Errorf("Export = %v, want %v", err, gone)
		}
	}
}

// TestTamperedRowsCannotMoveTheReadersCursor: what is in the file is shown, never raw.
func TestTamperedRowsCannotMoveTheReadersCursor(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.tamper(b.file(harbour), `UPDATE audit_event SET actor = char(27) || '[2J' || char(10) || 'fake' || char(8238), class = 'a' || char(7) WHERE seq = 2`,
		`UPDATE audit_event SET detail = 'no json' WHERE seq = 3`)
	list := b.tail(3)
	if list[1].Actor != `\x1b[2J\nfake\u202e` || list[1].Class != `a\x07` {
		t.Errorf("shown as %q, %q", list[1].Class, list[1].Actor)
	}
	if list[0].Damaged || !list[2].Damaged {
		t.Errorf("damaged = %v, %v, %v; want the last only", list[0].Damaged, list[1].Damaged, list[2].Damaged)
	}
	if text := b.export(audit.JSONL, audit.Range{}) + b.export(audit.CSV, audit.Range{}); strings.ContainsAny(text, "\x1b\u202e\x07") {
		t.Errorf("raw control characters in an export: %q", text)
	}
}

func TestAnotherPracticesRecordIsNeverShown(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.tamper(b.file(harbour), `UPDATE audit_event SET practice = 'acacia' WHERE seq = 2`)
	if list, err := b.log.Tail(t.Context(), harbour, 3); !errors.Is(err, audit.ErrForeign) || list != nil {
		t.Errorf("Tail = %v, %v; want ErrForeign", list, err)
	}
	if err := b.log.Export(t.Context(), harbour, audit.CSV, audit.Range{}, io.Discard); !errors.Is(err, audit.ErrForeign) {
		t.Errorf("Export = %v; want ErrForeign", err)
	}
}

func TestTailIsTheNewestInOrder(t *testing.T) {
	b := newBench(t)
	b.add(5)
	for _, row := range []struct{ n, want int }{{-1, 0}, {0, 0}, {2, 2}, {5, 5}, {1 << 40, 5}} {
		list := b.tail(row.n)
		if len(list) != row.want {
			t.Errorf("Tail(%d) has %d records, want %d", row.n, len(list), row.want)
		}
		for i, r := range list {
			if r.Seq != int64(5-row.want+i+1) {
				t.Errorf("Tail(%d)[%d] is row %d", row.n, i, r.Seq)
			}
		}
	}
}

func TestFollowGivesEachRecordOnceAndWaitsForMore(t *testing.T) {
	b := newBench(t)
	b.opts.Poll = time.Millisecond
	b.reopen()
	b.addMany(700)
	enough := errors.New("enough")
	var got []int64
	err := b.log.Follow(t.Context(), harbour, 10, func(r audit.Record) error {
		got = append(got, r.Seq)
		switch r.Seq {
		case 700:
			b.add(2)
		case 702:
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("Follow = %v, want the error of each", err)
	}
	for i, seq := range got {
		if seq != int64(11+i) {
			t.Fatalf("record %d came at place %d", seq, i)
		}
	}
	if len(got) != 692 {
		t.Fatalf("%d records, want 692", len(got))
	}
}

func TestFollowFromTheEndBeginsWithTheNextRecord(t *testing.T) {
	b := newBench(t)
	b.opts.Poll = time.Millisecond
	b.reopen()
	b.add(3)
	stop := make(chan struct{})
	first := make(chan int64, 1)
	go func() { // appends until it was seen: nobody can tell when Follow took its start
		defer close(stop)
		for len(first) == 0 {
			_ = b.log.Append(t.Context(), harbour, event("later"))
		}
	}()
	enough := errors.New("enough")
	err := b.log.Follow(t.Context(), harbour, -1, func(r audit.Record) error { first <- r.Seq; return enough })
	<-stop
	if seq := <-first; !errors.Is(err, enough) || seq <= 3 {
		t.Fatalf("Follow = %v with row %d first, want one after 3", err, seq)
	}
}

func TestFollowEndsWithItsContextAndWithTheLog(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.log.Follow(ctx, harbour, 0, func(audit.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow = %v, want cancelled", err)
	}
	if err := b.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.log.Follow(t.Context(), harbour, 0, func(audit.Record) error { return nil }); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Follow = %v, want closed", err)
	}
}
