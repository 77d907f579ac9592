package protocol_test

import (
	"strings"
	"testing"
	"time"

	"clinicgate/tests/boundary/rig"
)

// brokenBodies are requests whose chunks no parser may take for an end.
var brokenBodies = map[string]string{
	"chunk ends in bare LF":     "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n{tail}",
	"chunk extension, bare LF":  "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n2;a\nxx\r\nok\r\n0\r\n\r\n{tail}",
	"chunk size with 0x":        "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{tail}",
	"chunk size negative":       "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{tail}",
	"chunk size overflows":      "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{tail}",
	"chunk size with a blank":   "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n0 0\r\n\r\n{tail}",
	"chunk longer than its say": "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n2\r\nokXX\r\n0\r\n\r\n{tail}",
	"chunk without its end":     "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n{tail}",
	"endless extensions":        "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n0;" + strings.Repeat("a", 70_000) + "\r\n\r\n{tail}",
}

// TestNothingBehindABrokenBodyIsServed is THREATS D1 (CVE-2025-22871): a second request
// behind chunks that some parser would read as ended is nobody's.
func TestNothingBehindABrokenBodyIsServed(t *testing.T) {
	tryTails(t, brokenBodies)
	served(t)
}

// TestBrokenUploadTakesTheBackendFromNobody is THREATS D2: a request that its sender
// breaks is that sender's affair. If it counted as the backend's failure, three of them
// from anybody would put the clinical system out of reach for everybody.
func TestBrokenUploadTakesTheBackendFromNobody(t *testing.T) {
	for name, text := range map[string]string{
		"broken chunk":       "Transfer-Encoding: chunked\r\n\r\n5\r\nchart\r\nZZ\r\n",
		"negative chunk":     "Transfer-Encoding: chunked\r\n\r\n-5\r\n",
		"chunk too short":    "Transfer-Encoding: chunked\r\n\r\n2\r\nchart\r\n0\r\n\r\n",
		"malformed trailer":  "Transfer-Encoding: chunked\r\n\r\n0\r\nX A\r\n\r\n",
		"huge chunk":         "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
		"gone in the middle": "Content-Length: 100000\r\n\r\nchart",
		"gone in a chunk":    "Transfer-Encoding: chunked\r\n\r\n5000\r\nchart",
	} {
		t.Run(name, func(t *testing.T) {
			for range 8 {
				c := rig.Open(t, gate, "harbour.localhost")
				c.Write("POST /booking/x HTTP/1.1\r\nHost: " + host() + "\r\n" + text)
				if strings.HasPrefix(name, "gone") {
					c.Close()
					continue
				}
				c.Read("POST").CheckRefusal(t, 400)
			}
			served(t)
		})
	}
}

// TestEndedUploadTakesTheBackendFromNobody: neither is it the backend's failure when a
// session ends in the middle of its uploads.
func TestEndedUploadTakesTheBackendFromNobody(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "billing")
	before := gate.Hits(t, "/upload")
	var uploads []*rig.Conn
	for range 8 {
		c := rig.Open(t, gate, "harbour.localhost")
		c.Write("POST /upload HTTP/1.1\r\nHost: " + host() + "\r\nCookie: __Host-gate=" + cookie + "\r\nContent-Length: 10000000\r\n\r\nchart")
		uploads = append(uploads, c)
	}
	for deadline := time.Now().Add(20 * time.Second); gate.Hits(t, "/upload")-before < len(uploads); {
		if time.Now().After(deadline) {
			t.Fatal("the uploads do not reach the backend")
		}
	}
	logout := rig.Request{Host: host(), Method: "POST", Target: "/.gate/logout", Cookie: cookie, Header: []rig.Field{{"Origin", "https://" + host()}, {"Content-Length", "0"}}}
	if answer := rig.Send(t, gate, logout); answer.Status != 303 {
		t.Fatalf("logout: %d", answer.Status)
	}
	for _, c := range uploads {
		c.Write(strings.Repeat("a", 1<<20)) // the gateway notices the end when it has read once more
		if c.Read("POST").Status/100 == 2 {
			t.Error("an upload went through after its session had ended")
		}
	}
	served(t)
}
