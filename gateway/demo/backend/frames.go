package backend

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxMessage bounds a frame and a whole message, in bytes.
const maxMessage = 1 << 20

type opcode byte

// RFC 6455 section 5.2.
const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

func (op opcode) control() bool { return op >= opClose }

// closeError ends a connection with a status code (RFC 6455 section 7.4.1); 0 is a close frame without one.
type closeError uint16

const (
	closeProtocol closeError = 1002
	closeText     closeError = 1007
	closeTooBig   closeError = 1009
)

func (e closeError) Error() string { return fmt.Sprintf("websocket: closed with %d", uint16(e)) }

func (e closeError) payload() []byte {
	if e == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint16(nil, uint16(e))
}

// frame is one frame of a client, unmasked.
type frame struct {
	final   bool
	op      opcode
	payload []byte
}

// readFrame reads one client frame. Errors: closeError for what the protocol forbids, else the reader's own.
func readFrame(in *bufio.Reader) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{final: head[0]&0x80 != 0, op: opcode(head[0] & 0x0f)}
	length := uint64(head[1] & 0x7f)
	switch {
	case head[0]&0x70 != 0: // no extension was negotiated
		return frame{}, closeProtocol
	case head[1]&0x80 == 0: // a client must mask (section 5.1)
		return frame{}, closeProtocol
	case f.op > opBinary && f.op < opClose || f.op > opPong:
		return frame{}, closeProtocol
	case f.op.control() && (length > 125 || !f.final):
		return frame{}, closeProtocol
	}
	length, err := readLength(in, length)
	if err != nil {
		return frame{}, err
	}
	if length > maxMessage {
		return frame{}, closeTooBig
	}
	var mask [4]byte
	if _, err := io.ReadFull(in, mask[:]); err != nil {
		return frame{}, err
	}
	f.payload = make([]byte, length)
	if _, err := io.ReadFull(in, f.payload); err != nil {
		return frame{}, err
	}
	for i := range f.payload {
		f.payload[i] ^= mask[i%4]
	}
	return f, nil
}

// readLength reads the extended payload length, which must be the shortest form (section 5.2).
func readLength(in *bufio.Reader, short uint64) (uint64, error) {
	var b [8]byte
	switch short {
	case 126:
		if _, err := io.ReadFull(in, b[6:]); err != nil {
			return 0, err
		}
	case 127:
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return 0, err
		}
	default:
		return short, nil
	}
	length := binary.BigEndian.Uint64(b[:])
	if length < 126 || short == 127 && length < 1<<16 || length >= 1<<63 {
		return 0, closeProtocol
	}
	return length, nil
}

// messageReader puts fragments together and answers pings in between.
type messageReader struct {
	in   *bufio.Reader
	pong func(payload []byte) error
}

// next returns the next whole text or binary message; closeError says how the connection must end.
func (m *messageReader) next() (opcode, []byte, error) {
	var op opcode
	var message []byte
	for started := false; ; {
		f, err := readFrame(m.in)
		if err != nil {
			return 0, nil, err
		}
		if f.op.control() {
			if err := m.control(f); err != nil {
				return 0, nil, err
			}
			continue
		}
		if started != (f.op == opContinuation) {
			return 0, nil, closeProtocol
		}
		if !started {
			started, op = true, f.op
		}
		if len(message)+len(f.payload) > maxMessage {
			return 0, nil, closeTooBig
		}
		message = append(message, f.payload...)
		if !f.final {
			continue
		}
		if op == opText && !utf8.Valid(message) {
			return 0, nil, closeText
		}
		return op, message, nil
	}
}

// control handles ping, pong and close.
func (m *messageReader) control(f frame) error {
	switch f.op {
	case opPing:
		return m.pong(f.payload)
	case opClose:
		return closeReply(f.payload)
	}
	return nil // an unasked pong means nothing
}

// closeReply is the answer to a client's close frame: its own code when it may be sent (section 7.4), else 1002.
func closeReply(payload []byte) closeError {
	if len(payload) == 0 {
		return 0
	}
	if len(payload) == 1 || !utf8.Valid(payload[2:]) {
		return closeProtocol
	}
	code := binary.BigEndian.Uint16(payload)
	switch {
	case code >= 3000 && code <= 4999, code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return closeError(code)
	}
	return closeProtocol
}

// appendFrame appends one final server frame.
func appendFrame(b []byte, op opcode, payload []byte) []byte {
	b = append(b, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}
