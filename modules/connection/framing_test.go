package connection

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// follow passes a stream in pieces and returns the messages that it is cut into, the
// last with what came before the error.
func follow(pieces ...[]byte) (messages []string, err error) {
	var f framing
	var current strings.Builder
	for _, p := range pieces {
		for len(p) > 0 {
			n, err := f.pass(p)
			current.Write(p[:n])
			p = p[n:]
			if err != nil {
				return append(messages, current.String()), err
			}
			if f.headBytes == 0 && f.body == 0 && !f.opaque {
				messages = append(messages, current.String())
				current.Reset()
			}
		}
	}
	if current.Len() > 0 {
		messages = append(messages, current.String())
	}
	return messages, nil
}

func TestFraming(t *testing.T) {
	get, post := "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length: \t5 \r\n\r\na\n b\n"
	chunked := "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		stream string
		want   []string
		err    error
	}{
		"one":                  {get, []string{get}, nil},
		"three":                {get + post + get, []string{get, post, get}, nil},
		"length 0":             {"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + get, []string{"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", get}, nil},
		"length of another":    {"GET / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n" + get, []string{"GET / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n", get}, nil},
		"behind chunks":        {chunked + "0\r\n\r\n" + get + " \n", []string{chunked + "0\r\n\r\n" + get + " \n"}, nil},
		"folded, second":       {get + "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", []string{get, "GET / HTTP/1.1\r\nA: b\r\n c\r"}, errFolded},
		"folded by a tab":      {"GET / HTTP/1.1\r\n\tc\r\n\r\n", []string{"GET / HTTP/1.1\r\n\tc\r"}, errFolded},
		"bare LF":              {"GET / HTTP/1.1\nA: b\r\n\r\n", []string{"GET / HTTP/1.1"}, errBareLF},
		"both":                 {"POST / HTTP/1.1\r\ntransfer-ENCODING:\r\nContent-Length: 0\r\n\r\n", []string{"POST / HTTP/1.1\r\ntransfer-ENCODING:\r\nContent-Length: 0\r\n\r"}, errLengths},
		"no number":            {"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", []string{"POST / HTTP/1.1\r\nContent-Length: 5, 5\r"}, errLength},
		"a negative":           {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", []string{"POST / HTTP/1.1\r\nContent-Length: -1\r"}, errLength},
		"HTTP/2":               {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{"PRI * HTTP/2.0\r"}, errPreface},
		"empty line at first":  {"\r\n" + get, []string{"\r\n" + get}, nil},
		"the length is memory": {"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab" + get, []string{"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", get}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := follow([]byte(c.stream))
			if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v; messages (-want +got):\n%s", err, c.err, diff)
			}
		})
	}
}

// TestFramingDoesNotDependOnPieces: TCP cuts a stream where it likes.
func TestFramingDoesNotDependOnPieces(t *testing.T) {
	line := rapid.SampledFrom([]string{"A: b\r\n", "Content-Length: 3\r\n", "content-length:0\r\n", "Transfer-Encoding: chunked\r\n", " folded\r\n", "\tfolded\r\n",
		"\r\n", "\r\n\r\n", "abc", "\n", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "\r", "Content-Length", ":", " 3\r\n"})
	rapid.Check(t, func(t *rapid.T) {
		stream := []byte("GET / HTTP/1.1\r\n" + strings.Join(rapid.SliceOfN(line, 0, 30).Draw(t, "lines"), ""))
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		whole, wholeErr := follow(stream)
		cut, cutErr := follow(pieces...)
		if diff := cmp.Diff(whole, cut); diff != "" || !errors.Is(cutErr, wholeErr) {
			t.Errorf("error %v in one piece, %v in %d; messages (-one +many):\n%s", wholeErr, cutErr, len(pieces), diff)
		}
	})
}

// TestWaitingConnectionKeepsNoHead: long lines that came in pieces are not kept behind
// their head.
func TestWaitingConnectionKeepsNoHead(t *testing.T) {
	var f framing
	for _, p := range []string{"GET / HTTP/1.1\r\nA: ", strings.Repeat("b", 32<<10), "\r\n", "\r\n"} {
		if _, err := f.pass([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if f.headBytes != 0 || cap(f.line) > 0 {
		t.Errorf("%d bytes into a head, %d kept", f.headBytes, cap(f.line))
	}
}

// FuzzFramingAgreesWithNetHTTP: a request that passes ends where net/http sees its end.
func FuzzFramingAgreesWithNetHTTP(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\nabc",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "HEAD / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		source := bytes.NewReader(stream)
		buffered := bufio.NewReader(source)
		r, err := http.ReadRequest(buffered)
		if err != nil || len(r.TransferEncoding) > 0 || r.ProtoMajor != 1 || r.ProtoMinor == 0 {
			return // net/http refuses it, or the gateway closes the connection behind it
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		end := len(stream) - source.Len() - buffered.Buffered()
		messages, err := follow(stream)
		if len(messages) == 1 && err != nil {
			return // refused
		}
		if len(messages) == 0 || messages[0] != string(stream[:end]) {
			t.Errorf("net/http sees the end behind %q, framing behind %q", stream[:end], messages)
		}
	})
}
