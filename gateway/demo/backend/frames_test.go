package backend_test

import (
	"io"
	"net"
	"testing"
	"time"

	"clinicgate/gateway/demo/backend"
)

// FuzzWebSocketFrames: no bytes of a client make the server panic, hang or send a malformed frame.
func FuzzWebSocketFrames(f *testing.F) {
	for _, seed := range []string{frame(0x81, "hello"), frame(0x01, "a") + frame(0x80, "b"), frame(0x89, "p") + frame(0x88, "\x03\xe8"),
		"\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01", "\x81\x02hi", "\x81\xfe\x00\x05\x00\x00\x00\x00hello", ""} {
		f.Add([]byte(seed))
	}
	ctx := f.Context()
	server, err := backend.Serve(ctx, "127.0.0.1:0", backend.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn, in := dial(t, server.URL())
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			_, _ = conn.Write(sent)
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		for {
			a, err := readAnswer(in)
			if err == io.EOF {
				return
			}
			if err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Fatalf("the server did not end the connection")
				}
				return // reset because bytes were left unread
			}
			if a.First&0x70 != 0 || a.First&0x80 == 0 {
				t.Fatalf("malformed answer %#x", a.First)
			}
		}
	})
}
