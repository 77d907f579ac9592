package backend_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"clinicgate/gateway/demo/backend"

	"github.com/google/go-cmp/cmp"
)

const upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nX-Gate-Assertion: a\r\nX-Practice-Id: p\r\nUpgrade: websocket\r\n" +
	"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// frame is a masked client frame.
func frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

// answer is a server frame: its first byte and its payload.
type answer struct {
	First   byte
	Payload string
}

// converse upgrades, sends everything and reads until the server closes the connection.
func converse(t *testing.T, url, sent string) []answer {
	t.Helper()
	conn, in := dial(t, url)
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	var got []answer
	for {
		a, err := readAnswer(in)
		if err != nil {
			return got
		}
		got = append(got, a)
	}
}

func dial(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, upgrade); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	head, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The accept value is the example of RFC 6455 section 1.3.
	if head.StatusCode != 101 || head.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake: got %d %v", head.StatusCode, head.Header)
	}
	return conn, in
}

func readAnswer(in *bufio.Reader) (answer, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return answer{}, err
	}
	length := uint64(head[1])
	if extra := map[byte]int{126: 2, 127: 8}[head[1]]; extra > 0 {
		b := make([]byte, 8)
		if _, err := io.ReadFull(in, b[8-extra:]); err != nil {
			return answer{}, err
		}
		length = binary.BigEndian.Uint64(b)
	}
	payload := make([]byte, length)
	_, err := io.ReadFull(in, payload)
	return answer{head[0], string(payload)}, err
}

// closed is a close frame with that code.
func closed(code uint16) answer {
	return answer{0x88, string(binary.BigEndian.AppendUint16(nil, code))}
}

func TestWebSocketEchoes(t *testing.T) {
	bye := frame(0x88, "\x03\xe8")
	large := strings.Repeat("y", 1<<20)
	rows := []struct {
		name, sent string
		want       []answer
	}{
		{"text and binary", frame(0x81, "hello") + frame(0x82, "\xff\x00") + bye, []answer{{0x81, "hello"}, {0x82, "\xff\x00"}, closed(1000)}},
		{"empty text", frame(0x81, "") + bye, []answer{{0x81, ""}, closed(1000)}},
		{"16 bit length", frame(0x81, strings.Repeat("x", 300)) + bye, []answer{{0x81, strings.Repeat("x", 300)}, closed(1000)}},
		{"largest message", frame(0x82, large) + bye, []answer{{0x82, large}, closed(1000)}},
		{"fragments around a ping", frame(0x01, "he") + frame(0x89, "now?") + frame(0x00, "l") + frame(0x80, "lo") + bye,
			[]answer{{0x8a, "now?"}, {0x81, "hello"}, closed(1000)}},
		{"a pong is ignored", frame(0x8a, "x") + bye, []answer{closed(1000)}},
		{"close without a code", frame(0x88, ""), []answer{{0x88, ""}}},
		{"close with an own code and a reason", frame(0x88, "\x0b\xb8done"), []answer{closed(3000)}},
		{"nothing after close", bye + frame(0x81, "late"), []answer{closed(1000)}},
		{"close with a reserved code", frame(0x88, "\x03\xed"), []answer{closed(1002)}},
		{"close with half a code", frame(0x88, "\x03"), []answer{closed(1002)}},
		{"unmasked", "\x81\x02hi", []answer{closed(1002)}},
		{"reserved bit", frame(0xc1, "x"), []answer{closed(1002)}},
		{"unknown opcode", frame(0x83, "x"), []answer{closed(1002)}},
		{"unknown control opcode", frame(0x8b, "x"), []answer{closed(1002)}},
		{"fragmented ping", frame(0x09, "x"), []answer{closed(1002)}},
		{"long ping", frame(0x89, strings.Repeat("x", 126)), []answer{closed(1002)}},
		{"continuation of nothing", frame(0x80, "x"), []answer{closed(1002)}},
		{"second start", frame(0x01, "a") + frame(0x81, "b"), []answer{closed(1002)}},
		{"length not in its shortest form", "\x81\xfe\x00\x05\x00\x00\x00\x00hello", []answer{closed(1002)}},
		{"negative length", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", []answer{closed(1002)}},
		{"not UTF-8", frame(0x81, "\xff"), []answer{closed(1007)}},
		{"frame too big", "\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01", []answer{closed(1009)}},
		{"message too big", frame(0x02, large) + frame(0x80, "x"), []answer{closed(1009)}},
		{"cut off in a frame", "\x81\x85\x01", nil},
	}
	url := start(t, backend.Options{})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.want == nil {
				conn, in := dial(t, url)
				_, _ = io.WriteString(conn, row.sent)
				_ = conn.(*net.TCPConn).CloseWrite()
				if a, err := readAnswer(in); err == nil {
					t.Errorf("got %v", a)
				}
				return
			}
			if diff := cmp.Diff(row.want, converse(t, url, row.sent)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWebSocketHandshakeIsStrict(t *testing.T) {
	url := start(t, backend.Options{})
	for _, row := range []struct{ name, old, new string }{
		{"post", "GET ", "POST "},
		{"other upgrade", "Upgrade: websocket", "Upgrade: h2c"},
		{"not a connection option", "keep-alive, Upgrade", "keep-alive"},
		{"old version", "Version: 13", "Version: 8"},
		{"short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhl"},
		{"no base64", "dGhlIHNhbXBsZSBub25jZQ==", "not base64, is it now!!="},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := raw(t, url, strings.Replace(upgrade, row.old, row.new, 1)); got.StatusCode != http.StatusUpgradeRequired {
				t.Errorf("got %d, want 426", got.StatusCode)
			}
		})
	}
}

func TestOpenWebSocketEndsWithTheServer(t *testing.T) {
	ctx, stop := contextWithCancel(t)
	server, err := backend.Serve(ctx, "127.0.0.1:0", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn, in := dial(t, server.URL())
	if _, err := io.WriteString(conn, frame(0x81, "hi")); err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswer(in); err != nil || got.Payload != "hi" {
		t.Fatalf("got %v, %v", got, err)
	}
	stop()
	if got, err := readAnswer(in); err == nil {
		t.Errorf("still answering after the end: %v", got)
	}
}
