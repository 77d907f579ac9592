package forward

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"clinicgate/gateway/session"
	"clinicgate/modules/exchange"
)

// longBody is the size from which a body counts as a stream that the end of its
// session must cut. Anything smaller is through before a revocation could matter.
const longBody = 256 << 10

// gaveUp is an error that is a context.Canceled to errors.Is: the exchange ended
// before its time, and the backend is not to blame.
type gaveUp string

const (
	errCut    gaveUp = "session ended"
	errBroken gaveUp = "the client broke its request"
)

func (e gaveUp) Error() string        { return string(e) }
func (e gaveUp) Is(target error) bool { return target == context.Canceled }

// held is one exchange with the backend that may outlive its session. Most are too
// short, and what nobody is signed in for has no session to outlive.
type held struct {
	t       *Transport
	x       *exchange.Exchange
	request *http.Request
	release func() // takes the upload out of the registry
}

// holdUpload makes a long upload cancellable and registers it.
func (t *Transport) holdUpload(req *http.Request, x *exchange.Exchange) *held {
	req = req.WithContext(finalOnly{req.Context()})
	if req.Body != nil {
		req.Body = upload{req.Body}
	}
	h := &held{t: t, x: x, request: req}
	if x.Live() == nil || req.Body == nil || req.ContentLength >= 0 && req.ContentLength < longBody {
		return h
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	h.request = req.WithContext(ctx)
	unregister := t.core.Streams.Register(h.key(), func() { cancel(errCut) })
	h.release = func() { unregister(); cancel(nil) }
	return h
}

// upload is a request body whose sender may break it: with chunks that are none, or
// by going away. To reverse_proxy that must look like a request that was given up: an
// error of any other kind counts against the backend, and after a few of them it would
// be out of reach for everybody (THREATS D2, TestBrokenUploadTakesTheBackendFromNobody).
type upload struct{ io.ReadCloser }

// Read says of every end but the proper one that the sender broke the body.
func (u upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = errBroken
	}
	return n, err
}

// done ends the hold when there is no body to hold on to.
func (h *held) done() {
	if h.release != nil {
		h.release()
	}
}

// body keeps the response registered until its body is closed.
func (h *held) body(res *http.Response) {
	if h.x.Live() == nil || h.release == nil && !isLong(res) {
		return
	}
	s := &stream{ReadCloser: res.Body, upload: h.release}
	s.unregister = h.t.core.Streams.Register(h.key(), s.cut)
	if rw, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = &tunnel{stream: s, w: rw, live: h.x.Live(), now: h.t.core.Now}
		return
	}
	res.Body = s
}

// key says whose end cuts the exchange.
func (h *held) key() session.StreamKey { return h.x.Live().StreamKey(h.x.Sessions()) }

// isLong reports an answer that may go on for long: unknown or large size, event
// stream, tunnel.
func isLong(res *http.Response) bool {
	return res.StatusCode == http.StatusSwitchingProtocols || res.ContentLength < 0 || res.ContentLength >= longBody ||
		strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
}

// stream is a response body that can be cut from elsewhere.
type stream struct {
	io.ReadCloser
	ended      atomic.Bool
	unregister func()
	upload     func()
}

// Read fails once the session has ended, even while data keeps coming.
func (s *stream) Read(p []byte) (int, error) {
	if s.ended.Load() {
		return 0, errCut
	}
	return s.ReadCloser.Read(p)
}

// Close gives the registration back.
func (s *stream) Close() error {
	s.unregister()
	if s.upload != nil {
		s.upload()
	}
	return s.ReadCloser.Close()
}

// cut ends the exchange now; closing the body wakes a Read that waits for data.
func (s *stream) cut() {
	s.ended.Store(true)
	_ = s.ReadCloser.Close()
}

// tunnel is the body of a WebSocket: what the browser sends keeps the session
// alive like a request, what the backend sends does not.
type tunnel struct {
	*stream
	w    io.Writer
	live *session.Live
	now  func() time.Time
}

// Write passes the browser's bytes on.
func (t *tunnel) Write(p []byte) (int, error) {
	if t.ended.Load() {
		return 0, errCut
	}
	t.live.Touch(t.now())
	return t.w.Write(p)
}
