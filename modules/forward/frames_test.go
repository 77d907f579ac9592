package forward_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"clinicgate/modules/forward"
)

// frame is a frame as a browser sends it, with a mask of zeros.
func frame(opcode byte, payload string) []byte {
	out := []byte{0x80 | opcode, 0x80}
	switch n := len(payload); {
	case n < 126:
		out[1] |= byte(n)
	case n < 1<<16:
		out[1] |= 126
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out[1] |= 127
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	return append(append(out, 0, 0, 0, 0), payload...)
}

const text, binaryMessage, continuation, closing, ping, pong = 1, 2, 0, 8, 9, 10

// TestOnlyDataKeepsASessionAlive: what a browser says by itself is no sign of anybody.
func TestOnlyDataKeepsASessionAlive(t *testing.T) {
	long, longer := string(make([]byte, 300)), string(make([]byte, 70_000))
	for name, c := range map[string]struct {
		sent []byte
		want bool
	}{
		"text":                  {frame(text, "hi"), true},
		"binary":                {frame(binaryMessage, "hi"), true},
		"continuation":          {frame(continuation, "hi"), true},
		"long text":             {frame(text, long), true},
		"longer text":           {frame(text, longer), true},
		"empty text":            {frame(text, ""), false},
		"ping":                  {frame(ping, "are you there"), false},
		"pong":                  {frame(pong, "hi"), false},
		"pong without payload":  {frame(pong, ""), false},
		"close":                 {frame(closing, "\x03\xe8"), false},
		"ping that is too long": {frame(ping, longer), false},
		"nothing":               {nil, false},
		"half a header":         {frame(text, "hi")[:5], false},
		"text after pongs":      {bytes.Join([][]byte{frame(pong, "a"), frame(pong, ""), frame(text, "hi")}, nil), true},
		"pongs after a text":    {bytes.Join([][]byte{frame(text, ""), frame(pong, "aaaaaa"), frame(ping, long)}, nil), false},
		"text without a mask":   {[]byte{0x81, 2, 'h', 'i'}, true},
		"reserved, control":     {frame(15, "hi"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := new(forward.Frames).Carry(c.sent); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// TestPongsAfterALongMessage: each piece is judged by itself.
func TestPongsAfterALongMessage(t *testing.T) {
	f, message := new(forward.Frames), frame(text, string(make([]byte, 100_000)))
	for piece := range slices.Chunk(message, 1000) {
		if !f.Carry(piece) {
			t.Error("a piece of a text does not count")
		}
	}
	for range 3 {
		if f.Carry(frame(pong, "x")) {
			t.Error("a pong counts as data")
		}
	}
	if !f.Carry(frame(text, "x")) {
		t.Error("a text after pongs does not count")
	}
}

// FuzzFrames: however the bytes arrive, the verdict is the same, and a following text
// is recognised where the frames before it were whole.
func FuzzFrames(f *testing.F) {
	for _, seed := range [][]byte{frame(text, "hi"), frame(pong, ""), append(frame(ping, "x"), frame(text, "y")...), frame(text, string(make([]byte, 200))), {0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		f.Add(seed, byte(3))
	}
	f.Fuzz(func(t *testing.T, sent []byte, step byte) {
		kept := bytes.Clone(sent)
		whole := new(forward.Frames)
		want := whole.Carry(sent)
		pieces, got := new(forward.Frames), false
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+int(step%16))
			got = pieces.Carry(rest[:n]) || got
			rest = rest[n:]
		}
		if got != want || *pieces != *whole {
			t.Errorf("in pieces of %d: %t, at once %t", 1+step%16, got, want)
		}
		if !bytes.Equal(sent, kept) {
			t.Error("the bytes were altered")
		}
	})
}
