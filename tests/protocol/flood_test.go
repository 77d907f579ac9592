package protocol_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"clinicgate/tests/boundary/rig"
)

// framed is an HTTP/2 connection that is written frame by frame. What comes back is
// read and dropped.
type framed struct {
	*http2.Framer
	conn  *tls.Conn
	block bytes.Buffer
	ended chan struct{}
}

func openFramed(t *testing.T, settings ...http2.Setting) *framed {
	t.Helper()
	conn := gate.Dial(t, "harbour.localhost", "h2")
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	f := &framed{Framer: http2.NewFramer(conn, nil), conn: conn, ended: make(chan struct{})}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = f.WriteSettings(settings...)
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		close(f.ended)
	}()
	return f
}

// head is a header block of a request of nobody, or of a person.
func (f *framed) head(target, cookie string) []byte {
	f.block.Reset()
	encoder := hpack.NewEncoder(&f.block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host()}, {":path", target}, {"cookie", "__Host-gate=" + cookie}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true})
	}
	return f.block.Bytes()
}

// TestRapidReset is THREATS D2 (CVE-2023-44487): streams that are opened and reset at
// once take the gateway from nobody.
func TestRapidReset(t *testing.T) {
	f := openFramed(t)
	cookie := sessions.Of(t, gate, "harbour", "admin")
	for i := range uint32(5000) {
		id := 2*i + 1
		if f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.head("/api/echo", cookie), EndStream: true, EndHeaders: true}) != nil {
			break // the gateway has had enough
		}
		_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	served(t)
}

// TestContinuationFlood is THREATS D2 (CVE-2023-45288): a header block without an end
// ends the connection.
func TestContinuationFlood(t *testing.T) {
	f := openFramed(t)
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.head("/api/echo", "")})
	f.block.Reset()
	encoder := hpack.NewEncoder(&f.block)
	for f.block.Len() < 16000 {
		_ = encoder.WriteField(hpack.HeaderField{Name: "x-a", Value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Sensitive: true})
	}
	for range 100_000 {
		if f.WriteContinuation(1, false, f.block.Bytes()) != nil {
			break
		}
	}
	select {
	case <-f.ended:
	case <-time.After(20 * time.Second):
		t.Error("1.6 GB of header fields and the connection goes on")
	}
	served(t)
}

// TestCompressionBomb is THREATS D2: a header table entry said a thousand times is as
// large as what it stands for.
func TestCompressionBomb(t *testing.T) {
	before := gate.Hits(t, "/booking/bomb")
	f := openFramed(t)
	block := bytes.Clone(f.head("/booking/bomb", ""))
	f.block.Reset()
	encoder := hpack.NewEncoder(&f.block)
	_ = encoder.WriteField(hpack.HeaderField{Name: "x-a", Value: string(bytes.Repeat([]byte("a"), 4000))})
	block = append(block, f.block.Bytes()...)
	f.block.Reset()
	for range 10_000 { // 10 KB that stand for 40 MB
		_ = encoder.WriteField(hpack.HeaderField{Name: "x-a", Value: string(bytes.Repeat([]byte("a"), 4000))})
	}
	block = append(block, f.block.Bytes()...)
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:min(len(block), 16000)], EndStream: true, EndHeaders: true})
	_ = f.WritePing(false, [8]byte{})
	served(t)
	if gate.Hits(t, "/booking/bomb") != before {
		t.Error("the bomb reached the backend")
	}
}

// TestPingAndSettingsFlood is THREATS D2 (CVE-2019-9512, CVE-2019-9515).
func TestPingAndSettingsFlood(t *testing.T) {
	f := openFramed(t)
	for range 20_000 {
		if f.WritePing(false, [8]byte{}) != nil || f.WriteSettings() != nil {
			break
		}
	}
	served(t)
}

// TestSlowClientsBlockNobody is THREATS D2: heads and bodies that never end, and answers
// that nobody reads, cost others nothing.
func TestSlowClientsBlockNobody(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	for range 100 {
		rig.Open(t, gate, "harbour.localhost").Write("GET /booking/x HTTP/1.1\r\nHost: " + host() + "\r\nX-A: ")
		rig.Open(t, gate, "harbour.localhost").Write("POST /.gate/login HTTP/1.1\r\nHost: " + host() + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nemail=")
		rig.Open(t, gate, "harbour.localhost").Write("POST /booking/x HTTP/1.1\r\nHost: " + host() + "\r\nContent-Length: 1000\r\n\r\n")
	}
	slow := openFramed(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range uint32(100) {
		_ = slow.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: slow.head("/download?bytes=1000000&rate=1000000", cookie), EndStream: true, EndHeaders: true})
	}
	served(t)
	before := gate.Hits(t, "/patients") // of its own path: the downloads still arrive
	answer := rig.Send(t, gate, rig.Request{Host: host(), Target: "/patients"})
	answer.CheckRefusal(t, 401)
	if gate.Hits(t, "/patients") != before {
		t.Error("a request without a session reached the backend")
	}
}

// TestSlowHeadIsEnded is THREATS D2: the time for a request's head is bounded, however
// steadily its bytes come.
func TestSlowHeadIsEnded(t *testing.T) {
	g := rig.Seed(t).Run(t, rig.Config{Servers: "timeouts {\n\t\t\tread_header 1s\n\t\t}"})
	conn := g.Dial(t, "harbour.localhost", "http/1.1")
	start := time.Now()
	_ = conn.SetDeadline(start.Add(20 * time.Second))
	go func() {
		for _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-A: "); err == nil; {
			_, err = io.WriteString(conn, "a")
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, _ = io.ReadAll(conn)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("a head that never ends was read for %s", took)
	}
}
