package forward

import "encoding/binary"

// frames follows a browser's side of a WebSocket just far enough to tell what somebody
// sent from what the browser sends by itself: a ping, or the pong that a backend gets
// for every ping of its own and that would keep a session alive which nobody uses
// (RFC 6455 sections 5.2 and 5.5). It changes nothing and refuses nothing: what is
// malformed is between browser and backend.
type frames struct {
	head    [2 + 8 + 4]byte // of the frame that is being read
	have    int             // bytes of it so far
	payload uint64          // bytes to come until the next header
	data    bool            // the payload is that of a data frame
}

// carryData reads the next bytes, however the stream is cut into pieces, and reports
// whether a byte of a data frame's payload is among them.
func (f *frames) carryData(p []byte) (found bool) {
	for len(p) > 0 {
		if f.payload > 0 {
			n := min(f.payload, uint64(len(p)))
			f.payload -= n
			p = p[n:]
			found = found || f.data
			continue
		}
		n := copy(f.head[f.have:f.headLength()], p)
		f.have += n
		p = p[n:]
		if f.have >= 2 && f.have == f.headLength() {
			f.begin()
		}
	}
	return found
}

// headLength is how long the header is, as far as it was read.
func (f *frames) headLength() int {
	n := 2
	if f.have < n {
		return n
	}
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4 // the mask
	}
	return n
}

// begin reads a whole header. Opcodes below 8 are data: a text, a binary message, or
// the continuation of one.
func (f *frames) begin() {
	switch f.payload = uint64(f.head[1] & 0x7f); f.payload {
	case 126:
		f.payload = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.payload = binary.BigEndian.Uint64(f.head[2:])
	}
	f.data = f.head[0]&0x08 == 0
	f.have = 0
}
