package backend_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/demo/backend"
)

func TestEventsTickUntilTheClientGoes(t *testing.T) {
	url := start(t, backend.Options{Tick: time.Millisecond})
	answer, err := http.DefaultTransport.RoundTrip(request(t, http.MethodGet, url+"/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("type: got %q", got)
	}
	lines := bufio.NewScanner(answer.Body)
	seen := map[string]bool{}
	for !seen["id: 3"] && lines.Scan() {
		seen[lines.Text()] = true
	}
	if !seen["id: 1"] || !seen["id: 2"] || !seen["event: tick"] || !seen["data: "+noon.Format(time.RFC3339)] {
		t.Errorf("got %v", seen)
	}
	_ = answer.Body.Close() // the cleanup's Close waits for the handler, so a handler that stays hangs the test
}

func TestDownloadSendsTheBytesAsked(t *testing.T) {
	url := start(t, backend.Options{})
	answer, body := get(t, url+"/download?bytes=1048577&rate=1073741824")
	if len(body) != 1048577 || answer.ContentLength != 1048577 {
		t.Errorf("got %d bytes, Content-Length %d", len(body), answer.ContentLength)
	}
	if _, body := get(t, url+"/download?bytes=3&rate=1"); body != "ccc" {
		t.Errorf("slowest rate: got %q", body)
	}
}

func TestDownloadRefusesWhatIsOutOfBounds(t *testing.T) {
	url := start(t, backend.Options{})
	for _, query := range []string{"bytes=0", "bytes=-1", "bytes=x", "bytes=4294967297", "rate=0", "rate=1073741825", "rate=1e3"} {
		name, _, _ := strings.Cut(query, "=")
		answer, body := get(t, url+"/download?"+query)
		if answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, name+": a number") {
			t.Errorf("%s: got %d %s", query, answer.StatusCode, body)
		}
	}
}

func TestUploadCountsWithoutKeeping(t *testing.T) {
	const size = 8 << 20
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(zeros{}, size), sum)
	answer, text := do(t, request(t, http.MethodPost, start(t, backend.Options{})+"/upload", body))
	got := decode[struct {
		Bytes  int
		SHA256 string
	}](t, text)
	if answer.StatusCode != http.StatusOK || got.Bytes != size || got.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
}

func TestUploadThatBreaksOffIsNotAcknowledged(t *testing.T) {
	answer := raw(t, start(t, backend.Options{}), "POST /upload HTTP/1.1\r\nHost: h\r\nX-Gate-Assertion: a\r\nX-Practice-Id: p\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n")
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("got %d, want 400", answer.StatusCode)
	}
}

func TestUploadNeedsABodyMethod(t *testing.T) {
	if answer, _ := get(t, start(t, backend.Options{})+"/upload"); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("got %d, want 405", answer.StatusCode)
	}
}
