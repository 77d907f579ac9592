package forward_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/gateway/session"
	"clinicgate/modules/forward"
)

// endings are what ends an exchange that is under way.
var endings = map[string]func(*room) error{
	"the session ends":     (*room).end,
	"the policy says no":   func(r *room) error { return r.apply(withRule) },
	"the practice sleeps":  func(r *room) error { return r.core.Directory.Suspend(r.t.Context(), "acacia", author) },
	"the practice is gone": func(r *room) error { return r.core.Directory.Remove(r.t.Context(), "acacia", author) },
}

// TestEndedSessionReachesNoBackend: what ended between the decision and the backend.
func TestEndedSessionReachesNoBackend(t *testing.T) {
	for name, end := range endings {
		for _, anonymous := range []bool{false, true} {
			if anonymous && name == "the session ends" {
				continue // there is none
			}
			t.Run(fmt.Sprintf("%s, anonymous %t", name, anonymous), func(t *testing.T) {
				r := newRoom(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
				live, path := r.live, "/x"
				if anonymous {
					live, path = nil, "/booking/x"
				}
				req := r.request(t.Context(), "GET", path, nil, live)
				r.must(end(r))
				if status, _ := r.read(r.transport.RoundTrip(req)); status != http.StatusSeeOther && status != http.StatusUnauthorized {
					t.Errorf("status %d", status)
				}
				if n := r.core.Streams.Count(); n != 0 {
					t.Errorf("%d streams left", n)
				}
			})
		}
	}
}

// TestWaitingExchangeEnds, however small its answer would be and however slowly its
// small body comes: the browser is told so at once.
func TestWaitingExchangeEnds(t *testing.T) {
	for name, end := range endings {
		for _, anonymous := range []bool{false, true} {
			if anonymous && name == "the session ends" {
				continue
			}
			for _, upload := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, anonymous %t, upload %t", name, anonymous, upload), func(t *testing.T) {
					arrived := make(chan struct{})
					r := newRoom(t, func(_ http.ResponseWriter, req *http.Request) {
						close(arrived)
						_, _ = io.Copy(io.Discard, req.Body)
						<-req.Context().Done()
					})
					live, path := r.live, "/x"
					if anonymous {
						live, path = nil, "/booking/x"
					}
					req := r.request(t.Context(), "GET", path, nil, live)
					if upload {
						slow, sender := io.Pipe()
						defer sender.Close()
						req = r.request(t.Context(), "POST", path, slow, live)
						req.ContentLength = 10
						go func() { _, _ = sender.Write([]byte("chart")) }()
					}
					ended := make(chan error)
					go func() {
						<-arrived
						ended <- end(r)
					}()
					status, _ := r.read(r.transport.RoundTrip(req))
					r.must(<-ended)
					if status != http.StatusSeeOther && status != http.StatusUnauthorized {
						t.Errorf("status %d", status)
					}
					if n := r.core.Streams.Count(); n != 0 || r.log.Len() > 0 {
						t.Errorf("%d streams left; logged %q", n, r.log.String())
					}
				})
			}
		}
	}
}

// TestSmallAnswerEndsInTheMiddle: a long poll says how few bytes it will send and then
// takes its time.
func TestSmallAnswerEndsInTheMiddle(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "5")
				_, _ = io.WriteString(w, "ch")
				_ = http.NewResponseController(w).Flush()
				<-req.Context().Done()
			})
			res, err := r.transport.RoundTrip(r.request(t.Context(), "GET", "/x", nil, r.live))
			r.must(err)
			defer res.Body.Close()
			part := make([]byte, 2)
			if _, err := io.ReadFull(res.Body, part); err != nil {
				t.Fatal(err)
			}
			r.must(end(r))
			if n, err := res.Body.Read(part); n != 0 || err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%d more bytes, error %v", n, err)
			}
		})
	}
}

// TestQuickAnswerLeavesNothingBehind, and a policy that still allows it cuts nothing.
func TestQuickAnswerLeavesNothingBehind(t *testing.T) {
	r := newRoom(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "chart") })
	req := r.request(t.Context(), "GET", "/x", nil, r.live)
	res, err := r.transport.RoundTrip(req)
	r.must(err)
	if n := r.core.Streams.Count(); n != 1 {
		t.Errorf("%d streams before the body was read, want 1", n)
	}
	r.must(r.apply(strings.Replace(document, "Acacia Clinic", "Acacia Practice", 1)))
	if status, text := r.read(res, nil); status != http.StatusOK || text != "chart" {
		t.Errorf("%d %q", status, text)
	}
	if n := r.core.Streams.Count(); n != 0 {
		t.Errorf("%d streams after it", n)
	}
}

// TestBodyThatItsSenderBreaks is answered 400, and nobody is told that the backend
// failed.
func TestBodyThatItsSenderBreaks(t *testing.T) {
	r := newRoom(t, func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) })
	body := io.MultiReader(strings.NewReader("chart"), broken{})
	status, _ := r.read(r.transport.RoundTrip(r.request(t.Context(), "POST", "/x", body, r.live)))
	if status != http.StatusBadRequest || r.log.Len() > 0 {
		t.Errorf("status %d; logged %q", status, r.log.String())
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("malformed chunk") }

// TestBrowserThatGoesAway is nobody's failure.
func TestBrowserThatGoesAway(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	r := newRoom(t, func(_ http.ResponseWriter, req *http.Request) {
		leave()
		<-req.Context().Done()
	})
	_, err := r.transport.RoundTrip(r.request(ctx, "GET", "/x", nil, r.live))
	if !errors.Is(err, context.Canceled) || r.log.Len() > 0 || r.core.Streams.Count() != 0 {
		t.Errorf("%v; logged %q", err, r.log.String())
	}
}

// TestPagesThatReloadByThemselvesAreIdle: while the backend is down the page of it asks
// again every few seconds, for as long as the screen stays on.
func TestPagesThatReloadByThemselvesAreIdle(t *testing.T) {
	var up atomic.Bool
	r := newRoom(t, func(http.ResponseWriter, *http.Request) {
		if !up.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	seen := func() time.Time { return r.live.Record().LastSeen }
	ask := func(want int) {
		t.Helper()
		r.clock.Add(60)
		r.live.Attend(r.core.Now()) // as modules/enforce does
		if status, _ := r.get("/x", r.live); status != want {
			t.Fatalf("status %d, want %d", status, want)
		}
	}
	ask(http.StatusBadGateway) // the click
	clicked := seen()
	for range 10 {
		ask(http.StatusBadGateway) // the reloads
	}
	if got := seen(); !got.Equal(clicked) {
		t.Errorf("the reloads counted: seen %s after the click", got.Sub(clicked))
	}
	up.Store(true)
	ask(http.StatusOK)
	if got := seen(); !got.Equal(r.core.Now().UTC().Truncate(time.Microsecond)) {
		t.Errorf("the page that came counted at %s, want %s", got, r.core.Now())
	}
	ask(http.StatusOK)
}

// TestTunnelKeepsTheSessionAliveByData only, and never changes a byte.
func TestTunnelKeepsTheSessionAliveByData(t *testing.T) {
	r := newRoom(t, nil)
	seen := func() time.Time { return r.live.Record().LastSeen }
	for _, live := range []*session.Live{r.live, nil} {
		var sent, want strings.Builder
		tunnel := forward.NewTunnel(&sent, live, r.core.Now)
		for _, c := range []struct {
			frame []byte
			alive bool
		}{{frame(pong, "x"), false}, {frame(text, "hi"), true}, {frame(ping, "y"), false}, {frame(closing, ""), false}} {
			r.clock.Add(60)
			before := seen()
			if n, err := tunnel.Write(c.frame); n != len(c.frame) || err != nil {
				t.Fatalf("%d %v", n, err)
			}
			want.Write(c.frame)
			if got := seen().After(before); got != (c.alive && live != nil) {
				t.Errorf("frame %x counted %t", c.frame, got)
			}
		}
		if sent.String() != want.String() {
			t.Errorf("the backend got %x, want %x", sent.String(), want.String())
		}
	}
}

// TestAliasesForNobodyToo, and no backend's answer shows them to a script.
func TestAliasesForNobodyToo(t *testing.T) {
	r := newRoom(t, func(w http.ResponseWriter, req *http.Request) {
		for _, name := range []string{"X-Practice-Id", "Remote-Clinic", "X-User-Email", "Remote-User"} {
			if values, sent := req.Header[name]; sent {
				w.Header()[name] = values
				fmt.Fprintln(w, name, values)
			}
		}
	})
	for name, c := range map[string]struct {
		path string
		live *session.Live
		want string
	}{
		"nobody":    {"/booking/x", nil, "X-Practice-Id [acacia]\nRemote-Clinic [acacia]\n"},
		"clinician": {"/x", r.live, "X-Practice-Id [acacia]\nRemote-Clinic [acacia]\nX-User-Email [clinician@acacia.test]\nRemote-User [clinician@acacia.test]\n"},
	} {
		res, err := r.transport.RoundTrip(r.request(t.Context(), "GET", c.path, nil, c.live))
		r.must(err)
		for _, reflected := range []string{"X-Practice-Id", "Remote-Clinic", "X-User-Email", "Remote-User"} {
			if res.Header[reflected] != nil {
				t.Errorf("%s: the answer shows %s", name, reflected)
			}
		}
		if _, text := r.read(res, nil); text != c.want {
			t.Errorf("%s: the backend saw %q, want %q", name, text, c.want)
		}
	}
}

// TestQuickRequestStaysLean bounds what the transport adds to the allocations of
// net/http, which are what a request costs most.
func TestQuickRequestStaysLean(t *testing.T) {
	r := newRoom(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "chart") })
	r.get("/x", r.live)
	measure := func(send func(*http.Request) (*http.Response, error)) float64 {
		return testing.AllocsPerRun(200, func() {
			req := r.request(t.Context(), "GET", "/x", nil, r.live)
			res, err := send(req)
			r.must(err)
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		})
	}
	bare, ours := measure(r.transport.Transport.RoundTrip), measure(r.transport.RoundTrip)
	if added := ours - bare; added > 42 { // 39 when this was written, most of them the headers being written
		t.Errorf("the transport adds %v allocations to the %v of net/http", added, bare)
	}
}
