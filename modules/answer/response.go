package answer

import (
	"bytes"
	"io"
	"net/http"
)

// Response is a refusal as a response that reverse_proxy takes for the backend's,
// for modules/forward, which has no ResponseWriter. where, if not empty, is where a
// navigation is sent instead.
func (a *Answers) Response(r *http.Request, refusal *Refusal, reason, where string) *http.Response {
	w := &memory{header: http.Header{}, status: http.StatusInternalServerError}
	if where != "" && IsNavigation(r) {
		a.Note(r, refusal, reason)
		Redirect(w, where)
	} else if err := a.RefuseBecause(w, r, refusal, reason); err != nil {
		w.body.Reset()
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(w.body.Len()), Body: io.NopCloser(&w.body),
	}
}

// memory is a ResponseWriter that keeps what is written.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memory) Header() http.Header         { return m.header }
func (m *memory) WriteHeader(status int)      { m.status = status }
func (m *memory) Write(p []byte) (int, error) { return m.body.Write(p) }
