package audit_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"clinicgate/gateway/audit"
	"clinicgate/policy"
)

// hostile are texts that have broken logs: line ends, terminal sequences, separators,
// direction marks, invisible letters, broken UTF-8.
var hostile = []string{
	"", "plain", "two words", "line\nfake line", "a\r\nb", "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\u0085", "\u009b31m", "a\u2028b\u2029c",
	"\u202egpj.exe", "\u2066x\u2069", "\u200e\u200f\u061c", "\u200b\u200c\u200d\ufeff", "\u00a0\u3000\u2003", "\U000e0041\U000e007f", "\u3164\u115f\uffa0\u034f",
	"\x00", "\x7f", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "caf\u00e9 \u65e5\u672c\u8a9e \U0001f9d1", `back\slash`, `\n`, `\\`, `\x1b`, "\ufffd",
	`\…(5 bytes)`, strings.Repeat("a", 256), strings.Repeat("a", 257), strings.Repeat("\u65e5", 256), strings.Repeat("\n", 129), strings.Repeat("\\", 10_000),
}

func TestHostileTextIsOneVisibleBoundedLine(t *testing.T) {
	for _, s := range hostile {
		checkClean(t, s)
	}
}

func TestCleanKeepsOrdinaryText(t *testing.T) {
	for _, s := range []string{"", "person-1", "Zo\u00eb O'Brien <zoe@harbour.test>", "\u65e5\u672c\u8a9e", "2001:db8::1", strings.Repeat("\u00e9", 256)} {
		if got := audit.Clean(s); got != s {
			t.Errorf("Clean(%q) = %q", s, got)
		}
	}
	for raw, want := range map[string]string{"a\nb": `a\nb`, "\x1b[0m": `\x1b[0m`, "\u2028": `\u2028`, "\xff": `\xff`, "\u0085": `\u0085`, "\U000e0041": `\U000e0041`, `\`: `\\`} {
		if got := audit.Clean(raw); got != want {
			t.Errorf("Clean(%q) = %s, want %s", raw, got, want)
		}
	}
}

// TestAMegabyteUserAgentIsOneBoundedRecord: THREATS A3.
func TestAMegabyteUserAgentIsOneBoundedRecord(t *testing.T) {
	b := newBench(t)
	for _, unit := range []string{"A", "\x1b", "\u65e5", "\xff", "\\", "\"", "=", "\u2028"} {
		huge := strings.Repeat(unit, 1<<20/len(unit))
		e := audit.Event{Class: audit.Refusal, Action: huge, Actor: huge, Subject: huge, Addr: huge, Request: huge, Detail: map[string]string{}}
		for i := range 100 {
			e.Detail[strconv.Itoa(i)+huge] = huge
		}
		b.append(e)
		r := b.tail(1)[0]
		size := len(r.Class) + len(r.Action) + len(r.Actor) + len(r.Subject) + len(r.Addr) + len(r.Request)
		for key, value := range r.Detail {
			size += len(key) + len(value)
			if utf8.RuneCountInString(key) > audit.MaxKey || utf8.RuneCountInString(value) > audit.MaxField {
				t.Errorf("a detail of %d and %d runes", utf8.RuneCountInString(key), utf8.RuneCountInString(value))
			}
		}
		if size > audit.MaxEvent || len(r.Detail) > audit.MaxDetail || utf8.RuneCountInString(r.Action) > audit.MaxField {
			t.Errorf("%q: %d bytes, %d details", unit, size, len(r.Detail))
		}
		if !strings.HasSuffix(r.Action, " bytes)") {
			t.Errorf("a cut text ends %q", r.Action[len(r.Action)-20:])
		}
	}
	b.wantIntact(8)
}

func TestDetailsLeftOutAreCounted(t *testing.T) {
	e := audit.Event{Class: audit.System, Action: "x", Detail: map[string]string{}}
	for i := range audit.MaxDetail {
		e.Detail["k"+strconv.Itoa(i)] = "v"
	}
	full, err := audit.CleanEvent(e)
	if err != nil || !maps.Equal(full.Detail, e.Detail) {
		t.Fatalf("%d details became %v, %v", len(e.Detail), full.Detail, err)
	}
	e.Detail["one more"] = "v"
	cut, err := audit.CleanEvent(e)
	if err != nil || len(cut.Detail) != audit.MaxDetail || cut.Detail[`\more`] != "2" {
		t.Fatalf("%d details became %v, %v", len(e.Detail), cut.Detail, err)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkClean(t, s) })
}

func checkClean(t *testing.T, s string) {
	t.Helper()
	got := audit.Clean(s)
	if n := utf8.RuneCountInString(got); n > audit.MaxField || !utf8.ValidString(got) {
		t.Fatalf("Clean(%q) has %d runes, valid %v", s, n, utf8.ValidString(got))
	}
	for _, r := range got {
		if !unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
			t.Fatalf("Clean(%q) lets %U through", s, r)
		}
	}
	if again := audit.Harmless(got); again != got {
		t.Fatalf("what is stored is shown as %q, not %q", again, got)
	}
	back, cut, err := unclean(got)
	if err != nil {
		t.Fatalf("Clean(%q) = %q cannot be read back: %v", s, got, err)
	}
	if cut != len(s) && cut >= 0 || cut < 0 && back != s || !strings.HasPrefix(s, back) {
		t.Fatalf("Clean(%q) = %q reads back as %q, cut %d", s, got, back, cut)
	}
}

// unclean is the inverse of Clean; that there is one makes Clean injective. cut is the
// length that a shortened text tells, or -1.
func unclean(s string) (raw string, cut int, err error) {
	var b strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			break
		}
		if number, is := strings.CutPrefix(rest, "…("); is {
			number, after, _ := strings.Cut(number, " bytes)")
			n, err := strconv.Atoi(number)
			if err != nil || after != "" {
				return "", 0, errors.New("bad end")
			}
			return b.String(), n, nil
		}
		if len(rest) == 0 {
			return "", 0, errors.New("lone backslash")
		}
		kind, digits := rest[0], map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[0]]
		switch simple := strings.IndexByte(`\nrt`, kind); {
		case simple >= 0:
			b.WriteByte("\\\n\r\t"[simple])
		case digits > 0 && len(rest) > digits:
			n, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
			if err != nil {
				return "", 0, err
			}
			if kind == 'x' {
				b.WriteByte(byte(n))
			} else {
				b.WriteRune(rune(n))
			}
		default:
			return "", 0, errors.New("unknown escape")
		}
		s = rest[1+digits:]
	}
	return b.String(), -1, nil
}

func FuzzEncodeIsInjective(f *testing.F) {
	f.Add("harbour", int64(1), int64(0), "sign_in", "a", "b", "c", "d", "e", "k", "v", "k2", "v2", []byte("p"))
	f.Add("", int64(-1), int64(1)<<62, "", "", "", "", "", "", "", "", "", "", []byte{})
	f.Add("h", int64(7), int64(7), "\x00\x00\x00\x01", "\x00", "\xff", "a\nb", "1", "\x00\x00\x00\x00", "a", "bc", "ab", "c", []byte{0})
	f.Fuzz(func(t *testing.T, practice string, seq, at int64, class, action, actor, subject, addr, request, k1, v1, k2, v2 string, prev []byte) {
		r := audit.Record{Practice: policy.PracticeID(practice), Seq: seq, At: time.UnixMicro(at % (1 << 55)).UTC(), Event: audit.Event{
			Class: audit.Class(class), Action: action, Actor: actor, Subject: subject, Addr: addr, Request: request,
			Detail: map[string]string{k1: v1, k2: v2}}}
		copy(r.Prev[:], prev)
		back, err := decode(audit.Encode(r))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, back); diff != "" { // two records with one encoding could not both come back
			t.Fatalf("decoded (-want +got):\n%s", diff)
		}
	})
}

// decode is the inverse of Encode; that there is one makes Encode injective.
func decode(b []byte) (r audit.Record, err error) {
	text := func() string {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
			err = errors.New("too short")
			b = nil
			return ""
		}
		n := binary.BigEndian.Uint32(b)
		s := string(b[4 : 4+n])
		b = b[4+n:]
		return s
	}
	number := func(size int) uint64 {
		if len(b) < size {
			err = errors.New("too short")
			return 0
		}
		var full [8]byte
		copy(full[8-size:], b[:size])
		b = b[size:]
		return binary.BigEndian.Uint64(full[:])
	}
	if domain := text(); domain != "clinicgate/audit/event/v1" {
		return r, errors.New("wrong domain")
	}
	r.Practice = policy.PracticeID(text())
	r.Seq = int64(number(8))
	r.At = time.UnixMicro(int64(number(8))).UTC()
	r.Class = audit.Class(text())
	for _, field := range []*string{&r.Action, &r.Actor, &r.Subject, &r.Addr, &r.Request} {
		*field = text()
	}
	r.Detail = map[string]string{}
	for range number(4) {
		key := text()
		r.Detail[key] = text()
	}
	if copy(r.Prev[:], b) != len(r.Prev) || len(b) != len(r.Prev) {
		return r, errors.New("wrong end")
	}
	return r, err
}

// FuzzParseDetail: what the log writes reads back, and what reads back is written the same.
func FuzzParseDetail(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"b"}`, `{"a":"b","a":"c"}`, `{"b":"","a":""}`, `{"a":"\u0062"}`, `{"a":"\"\\"}`, `null`, `[]`, `{"a":1}`, ``, `{"a":"b"} `, "{\"a\":\"\xff\"}"} {
		f.Add(s, "key", "value")
	}
	f.Fuzz(func(t *testing.T, stored, key, value string) {
		if detail, err := audit.ParseDetail(stored); err == nil && audit.DetailText(detail) != stored {
			t.Fatalf("ParseDetail took %q, which is written %q", stored, audit.DetailText(detail))
		}
		want := map[string]string{audit.Clean(key): audit.Clean(value)}
		got, err := audit.ParseDetail(audit.DetailText(want))
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%q reads back as %q, %v", want, got, err)
		}
	})
}

// FuzzInert: no cell begins a formula, and none loses anything.
func FuzzInert(f *testing.F) {
	for _, s := range []string{"", "a", "=1", " =1", "'=1", "''+1", "-", "\uff1d", "\u3000@", "a=1", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := audit.Inert(s)
		bare := strings.TrimLeft(got, " \u00a0\u3000")
		for _, bad := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"} {
			if strings.HasPrefix(bare, bad) {
				t.Fatalf("Inert(%q) = %q begins with %q", s, got, bad)
			}
		}
		if got != s && got != "'"+s {
			t.Fatalf("Inert(%q) = %q", s, got)
		}
		if got == s && strings.HasPrefix(s, "'") && audit.Inert(s[1:]) == s {
			t.Fatalf("Inert gives %q for two cells", s)
		}
	})
}
