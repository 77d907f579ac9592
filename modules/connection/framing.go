package connection

import (
	"bytes"
	"errors"
	"strconv"
)

// What is refused. The texts go to the audit log.
var (
	errFolded  = errors.New("folded_header_line")     // RFC 9112 section 5.2
	errBareLF  = errors.New("bare_line_feed")         // RFC 9112 section 2.2
	errLengths = errors.New("two_ways_to_say_length") // RFC 9112 section 6.1
	errLength  = errors.New("malformed_length")       // RFC 9110 section 8.6
	errPreface = errors.New("http2_without_alpn")     // RFC 9113 section 3.2
)

// framing follows the messages of one connection (RFC 9112 section 6): lines of a head
// until an empty one, then as many bytes of body as Content-Length says. The zero
// framing is before the first head. With a chunked body it follows no further: the
// gateway closes the connection behind it (modules/answer).
type framing struct {
	headBytes int    // of the head so far; 0 in a body
	line      []byte // the beginning of a line whose end is still to come
	body      int64  // bytes of the body that are still to come
	length    int64  // that the head says; -1 is none
	chunked   bool   // the head has a Transfer-Encoding
	opaque    bool   // what follows is not looked at
}

// inHead reports that the next byte is one of a head.
func (f *framing) inHead() bool { return f.body == 0 && !f.opaque }

// pass lets bytes go by and returns how many of them belong to this message. With an
// error they end within the line that is refused.
func (f *framing) pass(p []byte) (int, error) {
	if f.opaque {
		return len(p), nil
	}
	if f.body > 0 {
		n := min(f.body, int64(len(p)))
		f.body -= n
		return int(n), nil
	}
	if f.headBytes == 0 {
		f.length, f.chunked = -1, false
	}
	first := f.headBytes == 0 || f.headBytes == len(f.line) // the request line
	for n := 0; ; first = false {
		end := bytes.IndexByte(p[n:], '\n') + 1
		if end == 0 {
			f.line = append(f.line, p[n:]...)
			f.headBytes += len(p) - n
			return len(p), nil
		}
		line := p[n : n+end]
		if len(f.line) > 0 {
			f.line = append(f.line, line...)
			line, f.line = f.line, nil // a connection that waits must not keep what may be 32 KiB
		}
		last, err := f.end(line, first)
		if err != nil {
			return n + end - 1, err // not the line feed that would end it
		}
		n += end
		if last {
			return n, nil
		}
		f.headBytes += end
	}
}

// end takes a line with its end and reports whether it was the head's last.
func (f *framing) end(line []byte, first bool) (last bool, err error) {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	switch {
	case !ok:
		return false, errBareLF
	case first && bytes.HasPrefix(text, []byte("PRI ")):
		return false, errPreface // Caddy would serve HTTP/2 here, as net/http does without TLS
	case first:
		return false, nil
	case len(text) == 0:
		return true, f.begin()
	case text[0] == ' ' || text[0] == '\t':
		return false, errFolded
	}
	return false, f.field(text)
}

// field looks at the two fields that say where a body ends.
func (f *framing) field(text []byte) error {
	switch text[0] | 0x20 {
	case 'c':
		if value, ok := valueOf(text, "content-length"); ok {
			n, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 63)
			if err != nil {
				return errLength
			}
			f.length = int64(n)
		}
	case 't':
		if _, ok := valueOf(text, "transfer-encoding"); ok {
			f.chunked = true
		}
	}
	return nil
}

// valueOf returns what stands behind the colon of the field with that name.
func valueOf(text []byte, name string) ([]byte, bool) {
	if len(text) <= len(name) || text[len(name)] != ':' || !bytes.EqualFold(text[:len(name)], []byte(name)) {
		return nil, false
	}
	return text[len(name)+1:], true
}

// begin is at the end of a head.
func (f *framing) begin() error {
	f.headBytes = 0
	switch {
	case f.chunked && f.length >= 0:
		return errLengths
	case f.chunked:
		f.opaque = true
	default:
		f.body = max(0, f.length)
	}
	return nil
}
