// Package backend is the small clinical system that stands behind `gateway demo`: it shows what a backend
// receives through the gateway, and offers one path for each kind of traffic that a clinical platform has.
//
//	/                  the welcome page: who is signed in, the identity headers
//	/billing/…  /booking/…  /prescriptions/…   pages; POST /prescriptions/… says what was prescribed
//	/api/echo          JSON: method, path, headers, trailers, body length
//	/api/status?code=  answers with that status
//	/stepup            401 with an RFC 9470 challenge until the sign-in is fresh (?acr_values= ?max_age= ?always=1)
//	/hostile           an answer that tries to overwrite the gateway's cookies, site data and HSTS
//	/ws  /events  /download?bytes=&rate=  /upload   the streams
//	/healthz  /api/hits?prefix=   for the operator and for tests, on the backend's own port
//
// It fails closed: whatever did not come through the gateway gets 401, apart from the last line.
package backend

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Options of the backend. The zero value works and refuses everything that carries no assertion.
type Options struct {
	// Verify says why an X-Gate-Assertion does not vouch for a request of the practice in X-Practice-Id:
	// Gateway.Verify. Nil: only its presence is required, for tests that look at something else.
	Verify func(ctx context.Context, practice, assertion string) error
	// Tick is the pause between two events of /events. Zero: one second.
	Tick time.Duration
	// Now is the clock of /events and of /stepup. Nil: time.Now.
	Now func() time.Time
	// Log receives why a request was refused. Nil: nothing is logged.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Tick <= 0 {
		o.Tick = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// server is the handler behind New.
type server struct {
	opt  Options
	hits hits
}

// New returns the backend as a handler. It keeps no state but its hit counter.
func New(o Options) http.Handler {
	return &server{opt: o.withDefaults()}
}

// ServeHTTP counts, checks that the gateway vouches for the request, and routes. It routes by hand because
// http.ServeMux would redirect paths such as //x, and tests must see exactly what arrived.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if path == "/api/hits" {
		s.serveHits(w, r)
		return
	}
	// A health probe of the gateway carries no assertion; counting it would blur "did my request arrive?".
	if path == "/healthz" && len(r.Header["X-Gate-Assertion"]) == 0 {
		answerJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		return
	}
	s.hits.count(rawPath(r))
	if reason := s.refuse(r); reason != "" {
		s.opt.Log.Warn("refused a request that did not come through the gateway", "reason", reason)
		answerError(w, http.StatusUnauthorized, "not through the gateway")
		return
	}
	s.route(path)(w, r)
}

// refuse says why the gateway does not vouch for r, or "". Two assertions are as bad as none: a reader further on
// might take the other one. The same goes for the practice, without which no record could be opened.
func (s *server) refuse(r *http.Request) string {
	assertion, practice := r.Header["X-Gate-Assertion"], r.Header["X-Practice-Id"]
	switch {
	case len(assertion) != 1 || assertion[0] == "":
		return "no single X-Gate-Assertion"
	case len(practice) != 1 || practice[0] == "":
		return "no single X-Practice-Id"
	case s.opt.Verify == nil:
		return ""
	}
	if err := s.opt.Verify(r.Context(), practice[0], assertion[0]); err != nil {
		return "assertion: " + err.Error()
	}
	return ""
}

// route returns the handler of a decoded path.
func (s *server) route(path string) http.HandlerFunc {
	switch path {
	case "/":
		return s.serveHome
	case "/healthz":
		return func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		}
	case "/api/echo":
		return s.serveEcho
	case "/api/status":
		return s.serveStatus
	case "/stepup":
		return s.serveStepUp
	case "/hostile":
		return s.serveHostile
	case "/ws":
		return s.serveWebSocket
	case "/events":
		return s.serveEvents
	case "/download":
		return s.serveDownload
	case "/upload":
		return s.serveUpload
	}
	switch {
	case below(path, "/billing"):
		return s.serveBilling
	case below(path, "/booking"):
		return s.serveBooking
	case below(path, "/prescriptions"):
		return s.servePrescriptions
	}
	return s.serveMissing
}

// below says whether path is dir or lies in it: /pki does not cover /pkix.
func below(path, dir string) bool {
	rest, found := strings.CutPrefix(path, dir)
	return found && (rest == "" || rest[0] == '/')
}

// rawPath is the path exactly as it was sent, without the query.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}

// answerJSON writes v; an error means that the client is gone, and there is nobody left to tell.
func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// answerError writes {"error": text}; text is for strangers.
func answerError(w http.ResponseWriter, status int, text string) {
	answerJSON(w, status, map[string]string{"error": text})
}
