package forward

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"clinicgate/gateway/core"
	"clinicgate/gateway/session"
	"clinicgate/modules/answer"
	"clinicgate/modules/exchange"
	"clinicgate/policy"
)

// What the tests try without a running gateway.
var (
	CleanAnswer     = cleanAnswer
	WithoutTrailers = withoutTrailers
	IsFinal         = isFinal
	HeaderSafe      = headerSafe
)

// New returns a Transport on an open core, as Provision makes it.
func New(c *core.Core, log *slog.Logger) *Transport {
	t := &Transport{core: c, answers: answer.New(c), log: log, prepared: new(prepared)}
	t.Transport = &http.Transport{DisableCompression: true}
	return t
}

// NewTunnel is the browser's side of a WebSocket, which writes to w.
func NewTunnel(w io.Writer, live *session.Live, now func() time.Time) io.Writer {
	return &tunnel{download: &download{h: new(held)}, w: w, live: live, now: now}
}

// Refusal is what a person is asked for when a backend wants that level and age.
func Refusal(level policy.Level, maxAge time.Duration, s *policy.Subject, now time.Time) (*answer.Refusal, func(*http.Request) string) {
	return challenge{level, maxAge}.refusal(s, now)
}

// Frames follows a WebSocket.
type Frames struct{ frames }

// Carry says whether p held payload of a data frame.
func (f *Frames) Carry(p []byte) bool { return f.carryData(p) }

// StepUp is what an answer asks for: asked, the level's name and the age in seconds.
func StepUp(res *http.Response) (asked bool, level string, maxAge int) {
	c, asked := stepUpChallenge(res)
	return asked, c.level.String(), int(c.maxAge / time.Second)
}

// Identify writes the identity headers of an allowed request.
func (t *Transport) Identify(r *http.Request) error {
	x := exchange.Of(r.Context())
	decision, _ := x.Passed(r)
	return t.identify(r.Header, x, decision)
}
