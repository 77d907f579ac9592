package audit

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"clinicgate/policy"
)

// Format is how records are exported.
type Format string

// The formats.
const (
	JSONL Format = "jsonl" // one JSON object a line
	CSV   Format = "csv"   // RFC 4180, UTF-8, with a header, safe to open in a spreadsheet
)

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case JSONL, CSV:
		return f, nil
	}
	return "", fmt.Errorf("unknown export format %q: it is jsonl or csv", clip(s, MaxKey))
}

// exportTime is RFC 3339 in UTC with all six digits, so that text sorts as time does.
const exportTime = noteTime

// Export writes the practice's records within a range of time to w, oldest first. It
// ends with the newest record there was when it began. Errors of w come back unwrapped.
func (l *Log) Export(ctx context.Context, id policy.PracticeID, format Format, within Range, w io.Writer) error {
	buffered := bufio.NewWriter(w)
	var out encoder
	switch format {
	case JSONL:
		out = jsonEncoder{json.NewEncoder(buffered)}
	case CSV:
		out = newCSV(buffered)
	default:
		_, err := ParseFormat(string(format))
		return err
	}
	newest, err := l.Tail(ctx, id, 1)
	if err != nil {
		return err
	}
	if err := out.begin(); err != nil {
		return err
	}
	var after, last int64 = 0, 0
	if len(newest) > 0 {
		last = newest[0].Seq
	}
	for after < last {
		list, err := l.pageAfter(ctx, id, after, last, within)
		if err != nil {
			return err
		}
		for i := range list {
			if err := out.record(&list[i]); err != nil {
				return err
			}
			after = list[i].Seq
		}
		if len(list) < pageSize {
			break
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	return buffered.Flush()
}

// encoder writes records in one format.
type encoder interface {
	begin() error
	record(*Record) error
	end() error
}

// line is a record in JSON; also what Record marshals to.
type line struct {
	Seq      int64             `json:"seq"`
	Time     string            `json:"time"`
	Practice string            `json:"practice"`
	Class    Class             `json:"class"`
	Action   string            `json:"action"`
	Actor    string            `json:"actor,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Address  string            `json:"address,omitempty"`
	Request  string            `json:"request_id,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
	Previous Hash              `json:"previous_hash"`
	Hash     Hash              `json:"hash"`
	Damaged  bool              `json:"damaged,omitempty"`
}

// MarshalJSON is the form that JSONL exports have.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(line{
		Seq: r.Seq, Time: r.At.UTC().Format(exportTime), Practice: string(r.Practice), Class: r.Class, Action: r.Action,
		Actor: r.Actor, Subject: r.Subject, Address: r.Addr, Request: r.Request, Detail: r.Detail,
		Previous: r.Prev, Hash: r.Hash, Damaged: r.Damaged,
	})
}

type jsonEncoder struct{ *json.Encoder }

func (e jsonEncoder) begin() error           { return nil }
func (e jsonEncoder) record(r *Record) error { return e.Encode(r) }
func (e jsonEncoder) end() error             { return nil }

// csvHeader names the columns of the CSV form.
var csvHeader = []string{"seq", "time", "practice", "class", "action", "actor", "subject", "address", "request_id",
	"detail", "previous_hash", "hash", "damaged"}

type csvEncoder struct{ *csv.Writer }

func newCSV(w io.Writer) csvEncoder {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180 section 2.1
	return csvEncoder{out}
}

func (e csvEncoder) begin() error { return e.Write(csvHeader) }

func (e csvEncoder) record(r *Record) error {
	damaged := ""
	if r.Damaged {
		damaged = "yes"
	}
	cells := []string{strconv.FormatInt(r.Seq, 10), r.At.UTC().Format(exportTime), string(r.Practice), string(r.Class), r.Action,
		r.Actor, r.Subject, r.Addr, r.Request, detailText(r.Detail), r.Prev.String(), r.Hash.String(), damaged}
	for i := range cells {
		cells[i] = inert(cells[i])
	}
	return e.Write(cells)
}

func (e csvEncoder) end() error {
	e.Flush()
	return e.Error()
}

// inert returns a cell that no spreadsheet takes for a formula: one that begins, after
// blanks, with = + - @ (also full width), a tab, or a line end gets an apostrophe in
// front, which spreadsheets show as text. A reader that wants the cell as it was removes
// one leading apostrophe where a dangerous character follows.
func inert(cell string) string {
	rest := strings.TrimLeft(cell, " \u00a0\u3000'")
	if rest != "" && strings.ContainsRune("=+-@\t\r\n\v\f|\uff1d\uff0b\uff0d\uff20", firstRune(rest)) {
		return "'" + cell
	}
	return cell
}

func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return 0
}
