package backend

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxEchoBody bounds what /api/echo reads, in bytes; larger bodies belong to /upload.
const maxEchoBody = 64 << 20

// echo is the answer of /api/echo: the request as this backend sees it.
type echo struct {
	Method           string      `json:"method"`
	Path             string      `json:"path"` // request target as sent: raw path and query
	Proto            string      `json:"proto"`
	Host             string      `json:"host"`
	Headers          http.Header `json:"headers"` // all, each with every value; Host too
	Trailers         http.Header `json:"trailers"`
	TransferEncoding []string    `json:"transfer_encoding,omitempty"`
	BodyBytes        int64       `json:"body_bytes"`
}

// serveEcho reads the body first, since only then the trailers are there (RFC 9110 section 6.5).
func (s *server) serveEcho(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxEchoBody))
	if err != nil {
		answerBodyError(w, err)
		return
	}
	headers := r.Header.Clone()
	headers["Host"] = []string{r.Host}
	trailers := r.Trailer
	if trailers == nil {
		trailers = http.Header{}
	}
	answerJSON(w, http.StatusOK, echo{
		Method: r.Method, Path: r.RequestURI, Proto: r.Proto, Host: r.Host, Headers: headers, Trailers: trailers,
		TransferEncoding: r.TransferEncoding, BodyBytes: n,
	})
}

// answerBodyError says whether a body was too large or broken off.
func answerBodyError(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		answerError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("body: at most %d bytes", tooLarge.Limit))
		return
	}
	answerError(w, http.StatusBadRequest, "body: ended early or malformed")
}

// serveStatus answers ?code=, 200 to 599.
func (s *server) serveStatus(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.URL.Query().Get("code"))
	if err != nil || code < 200 || code > 599 {
		answerError(w, http.StatusBadRequest, "code: a number from 200 to 599")
		return
	}
	if code == http.StatusNoContent || code == http.StatusNotModified {
		w.WriteHeader(code)
		return
	}
	answerJSON(w, code, map[string]int{"status": code})
}

// levels in rising order, as X-Auth-Level names them.
var levels = []string{"aal1", "aal2", "aal2-pr"}

// serveStepUp asks for a level and a freshness with an RFC 9470 challenge, and answers 200 once the identity headers
// satisfy it. ?acr_values= (aal2) and ?max_age= (60, seconds) choose what is asked, ?always=1 is never satisfied.
func (s *server) serveStepUp(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	want, age := "aal2", 60
	if v := q.Get("acr_values"); v != "" {
		want = v
	}
	if v := q.Get("max_age"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 86400 {
			answerError(w, http.StatusBadRequest, "max_age: seconds, 0 to 86400")
			return
		}
		age = n
	}
	if !slices.Contains(levels, want) {
		answerError(w, http.StatusBadRequest, "acr_values: aal1, aal2 or aal2-pr")
		return
	}
	if q.Get("always") == "" && s.fresh(r, want, time.Duration(age)*time.Second) {
		answerJSON(w, http.StatusOK, map[string]string{"stepped_up": r.Header.Get("X-Auth-Level")})
		return
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_user_authentication", `+
		`error_description="A fresh sign-in is needed", acr_values="%s", max_age="%d"`, want, age))
	answerError(w, http.StatusUnauthorized, "insufficient_user_authentication")
}

// fresh says whether the identity headers prove the level within the age. What cannot be read is not proved.
func (s *server) fresh(r *http.Request, want string, age time.Duration) bool {
	if slices.Index(levels, r.Header.Get("X-Auth-Level")) < slices.Index(levels, want) {
		return false
	}
	at, err := time.Parse(time.RFC3339, r.Header.Get("X-Auth-Time"))
	return err == nil && s.opt.Now().Sub(at) <= age
}

// serveHostile sends what a broken or captured backend might: the gateway must strip the cookies that carry its
// names, Clear-Site-Data and the weaker HSTS, and let the backend's own cookie pass (THREATS H9).
func (s *server) serveHostile(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Add("Set-Cookie", "__Host-gate=planted-by-the-backend; Path=/; Secure; HttpOnly; SameSite=Lax")
	h.Add("Set-Cookie", "__Host-gate-flow=planted-by-the-backend; Path=/; Secure")
	h.Add("Set-Cookie", " __host-Gate=planted-by-the-backend; Path=/; Secure")
	h.Add("Set-Cookie", "backend_view=compact; Path=/; Secure; HttpOnly; SameSite=Lax")
	h.Set("Clear-Site-Data", `"cookies", "storage"`)
	h.Set("Strict-Transport-Security", "max-age=0")
	h.Set("X-Practice-Id", "planted-by-the-backend")
	answerJSON(w, http.StatusOK, map[string]string{"hostile": "this answer tries to overwrite the gateway's own headers"})
}
