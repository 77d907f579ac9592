package forward

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/gateway/session"
	"clinicgate/modules/exchange"
)

// held is one exchange with the backend, for as long as it lasts: whatever ends its
// session, and a policy that would not let it begin now, ends the exchange at once,
// while it waits for the answer as well as in the middle of a body (THREATS Z3). It is
// one allocation, with all that belongs to it inside.
type held struct {
	t       *Transport
	x       *exchange.Exchange
	request *http.Request // what is sent
	cancel  context.CancelFunc
	stream  session.Stream
	context finalOnly
	upload  upload
	answer  download
	cut     atomic.Bool // by Cut
	broken  atomic.Bool // the client broke its body
	mu      sync.Mutex
	over    bool // done was called; under mu
}

// hold makes of reverse_proxy's request the one that is sent: the only copy there is.
func (t *Transport) hold(req *http.Request, x *exchange.Exchange) *held {
	h := &held{t: t, x: x}
	h.context = finalOnly{req.Context()}
	ctx, cancel := context.WithCancel(&h.context)
	h.cancel, h.request = cancel, req.WithContext(ctx)
	h.request.Trailer = nil // a trailer is never forwarded (THREATS H4)
	if req.Body != nil {
		h.upload = upload{req.Body, h}
		h.request.Body = &h.upload
	}
	return h
}

// begin enters the exchange into the registry. When it may not begin any more, it is
// cut on return.
func (h *held) begin() { h.t.core.Streams.Open(&h.stream, h.key(), h) }

// key says whose end is the end of the exchange.
func (h *held) key() session.StreamKey {
	if live := h.x.Live(); live != nil {
		return live.StreamKey(h.x.Sessions())
	}
	return session.AnonymousStream(h.x.Practice.ID)
}

// Allowed implements session.Holder.
func (h *held) Allowed() bool {
	return h.x.StillAllowed(h.t.core.Directory.ByID(h.x.Practice.ID), h.t.core.Now())
}

// Cut implements session.Holder: what waits for the backend or for the rest of the
// request is woken, and nothing that comes afterwards passes. The context alone is not
// enough: net/http returns only when it has read from the request's body once more.
func (h *held) Cut() {
	h.cut.Store(true)
	h.cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.upload.ReadCloser != nil && !h.over {
		h.x.StopReading()
	}
}

// done takes the exchange out of the registry. It is called before the request has been
// served.
func (h *held) done() {
	h.t.core.Streams.Close(&h.stream)
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
}

// keep holds on to the body of the answer until it is closed.
func (h *held) keep(res *http.Response) {
	h.answer = download{res.Body, h}
	conn, isTunnel := res.Body.(io.ReadWriteCloser)
	if !isTunnel || res.StatusCode != http.StatusSwitchingProtocols {
		res.Body = &h.answer
		return
	}
	// net/http has let go of the connection, so the context's end no longer closes it.
	context.AfterFunc(h.request.Context(), func() { _ = conn.Close() })
	res.Body = &tunnel{download: &h.answer, w: conn, live: h.x.Live(), now: h.t.core.Now}
}

// finalOnly hides from net/http that reverse_proxy wants to hear of interim answers
// (1xx). It would pass them on with whatever headers they have, before any of our
// code sees them (THREATS H9), and without a bound on their number.
type finalOnly struct{ context.Context }

// Value is that of the request's context, but for the trace.
func (c *finalOnly) Value(key any) any {
	value := c.Context.Value(key)
	if _, isTrace := value.(*httptrace.ClientTrace); isTrace {
		return nil
	}
	return value
}

// upload is the body of a request. Its sender may break it, with chunks that are none
// or by going away, which is no failure of the backend (THREATS D2,
// TestBrokenUploadTakesTheBackendFromNobody).
type upload struct {
	io.ReadCloser
	h *held
}

// Read notes every end but the proper one.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if u.h.cut.Load() {
		return 0, context.Canceled
	}
	if err != nil && err != io.EOF {
		u.h.broken.Store(true)
	}
	return n, err
}

// download is the body of an answer.
type download struct {
	io.ReadCloser
	h *held
}

// Read fails once the exchange was cut, even while data keeps coming.
func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if d.h.cut.Load() {
		return 0, context.Canceled
	}
	return n, err
}

// Close ends the exchange.
func (d *download) Close() error {
	d.h.done()
	return d.ReadCloser.Close()
}

// tunnel is the body of a WebSocket: what the person sends keeps the session alive like
// a request, what the backend sends and what the browser says by itself does not.
type tunnel struct {
	*download
	w      io.Writer
	frames frames
	live   *session.Live // nil: nobody is signed in
	now    func() time.Time
}

// Write passes the browser's bytes on as they are.
func (t *tunnel) Write(p []byte) (int, error) {
	if t.h.cut.Load() {
		return 0, context.Canceled
	}
	if t.frames.carryData(p) && t.live != nil {
		t.live.Touch(t.now())
	}
	return t.w.Write(p)
}

// Interface guards.
var _ session.Holder = (*held)(nil)
