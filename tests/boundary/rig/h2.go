package rig

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"clinicgate/tests/harness"
)

// sendH2 writes frames by hand: names, values and pseudo header fields as they are.
func sendH2(t testing.TB, g *harness.Gateway, r Request) Answer {
	t.Helper()
	conn := g.Dial(t, r.SNI, "h2")
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("negotiated %q, want h2", got)
	}
	_ = conn.SetDeadline(time.Now().Add(wait))
	s := &stream{framer: http2.NewFramer(conn, conn), answer: Answer{Header: http.Header{}, Trailer: http.Header{}}}
	s.decoder = hpack.NewDecoder(1<<16, nil)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = s.framer.WriteSettings()
	s.write(r)
	for s.next(t) {
	}
	return s.answer
}

// stream is the one stream of a connection.
type stream struct {
	framer  *http2.Framer
	decoder *hpack.Decoder
	answer  Answer
	final   bool // the final answer's header fields were read
}

func (s *stream) write(r Request) {
	pseudo := r.Pseudo
	if pseudo == nil {
		pseudo = []Field{{":method", r.Method}, {":scheme", "https"}, {":authority", r.Host}, {":path", r.Target}}
	}
	last := r.Body == "" && len(r.Trailer) == 0
	s.headers(append(pseudo, lowered(r.Header)...), last)
	if r.Body != "" {
		_ = s.framer.WriteData(1, len(r.Trailer) == 0, []byte(r.Body))
	}
	if len(r.Trailer) > 0 {
		s.headers(lowered(r.Trailer), true)
	}
}

// lowered makes names lower case, as HTTP/2 wants them; a name with a ! before it
// stays as it is behind the mark.
func lowered(fields []Field) []Field {
	var out []Field
	for _, f := range fields {
		name, literal := strings.CutPrefix(f[0], "!")
		if !literal {
			name = strings.ToLower(name)
		}
		out = append(out, Field{name, f[1]})
	}
	return out
}

// headers writes one header block, over as many frames as it needs.
func (s *stream) headers(fields []Field, last bool) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	const most = 16 << 10
	first := block.Next(most)
	_ = s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: last, EndHeaders: block.Len() == 0})
	for block.Len() > 0 {
		part := block.Next(most)
		_ = s.framer.WriteContinuation(1, block.Len() == 0, part)
	}
}

// next reads one frame and reports whether the answer goes on.
func (s *stream) next(t testing.TB) bool {
	t.Helper()
	frame, err := s.framer.ReadFrame()
	if err != nil {
		if isTimeout(err) {
			t.Errorf("no answer within %s", wait)
		}
		s.answer.Closed = true
		return false
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			_ = s.framer.WriteSettingsAck()
		}
	case *http2.HeadersFrame:
		s.fields(f.HeaderBlockFragment())
		return !f.StreamEnded()
	case *http2.DataFrame:
		s.answer.Text += string(f.Data())
		if n := uint32(len(f.Data())); n > 0 {
			_ = s.framer.WriteWindowUpdate(0, n)
			_ = s.framer.WriteWindowUpdate(1, n)
		}
		return !f.StreamEnded()
	case *http2.RSTStreamFrame:
		return s.final && f.ErrCode == http2.ErrCodeNo
	case *http2.GoAwayFrame:
		s.answer.Closed = true
		return f.ErrCode == http2.ErrCodeNo
	}
	return true
}

// fields reads a header block: interim, final or trailers.
func (s *stream) fields(block []byte) {
	decoded, _ := s.decoder.DecodeFull(block)
	header, status := http.Header{}, 0
	for _, f := range decoded {
		if f.Name == ":status" {
			status, _ = strconv.Atoi(f.Value)
			continue
		}
		header.Add(f.Name, f.Value)
	}
	switch {
	case status/100 == 1:
		s.answer.Interim = append(s.answer.Interim, Interim{status, header})
	case !s.final:
		s.final, s.answer.Status, s.answer.Header = true, status, header
	default:
		s.answer.Trailer = header
	}
}
