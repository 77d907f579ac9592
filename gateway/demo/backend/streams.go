package backend

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Bounds of the streams, in bytes and bytes a second.
const (
	maxDownload     = 4 << 30
	maxRate         = 1 << 30
	defaultDownload = 64 << 20
	defaultRate     = 1 << 20
	maxUpload       = 16 << 30
	// slices a second in which a download is paced
	downloadSlices = 10
)

// serveEvents sends one event per tick (text/event-stream, WHATWG HTML section 9.2) until the client goes.
func (s *server) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	ticker := time.NewTicker(s.opt.Tick)
	defer ticker.Stop()
	for n := 1; ; n++ {
		_, err := fmt.Fprintf(w, "id: %d\nevent: tick\ndata: %s\n\n", n, s.opt.Now().UTC().Format(time.RFC3339))
		if err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// serveDownload sends ?bytes= at ?rate= bytes a second, with a Content-Length, so that a cut is visible.
func (s *server) serveDownload(w http.ResponseWriter, r *http.Request) {
	left, err := boundedParameter(r, "bytes", defaultDownload, maxDownload)
	if err != nil {
		answerError(w, http.StatusBadRequest, err.Error())
		return
	}
	rate, err := boundedParameter(r, "rate", defaultRate, maxRate)
	if err != nil {
		answerError(w, http.StatusBadRequest, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="imaging.bin"`)
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	out := http.NewResponseController(w)
	ticker := time.NewTicker(time.Second / downloadSlices)
	defer ticker.Stop()
	for slice := max(rate/downloadSlices, 1); left > 0; {
		n := min(slice, left)
		if _, err := io.CopyN(w, pattern{}, n); err != nil || out.Flush() != nil {
			return
		}
		if left -= n; left == 0 {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// pattern is an endless reader of the byte 'c'; a download needs no storage.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'c'
	}
	return len(p), nil
}

// serveUpload counts and hashes the body while it streams; it holds no more than one buffer of it.
func (s *server) serveUpload(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", "POST, PUT")
		answerError(w, http.StatusMethodNotAllowed, "upload: POST or PUT")
		return
	}
	sum := sha256.New()
	n, err := io.Copy(sum, http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		answerBodyError(w, err)
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil))})
}

// boundedParameter reads a number from 1 to limit out of the query; absent, it is fallback.
func boundedParameter(r *http.Request, name string, fallback, limit int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > limit {
		return 0, fmt.Errorf("%s: a number from 1 to %d", name, limit)
	}
	return n, nil
}
