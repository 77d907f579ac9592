package forward_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/config"
	"clinicgate/gateway/account"
	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/session"
	"clinicgate/gateway/vault"
	"clinicgate/modules/exchange"
	"clinicgate/modules/forward"
	"clinicgate/policy"
)

const document = `practice: acacia
name: Acacia Clinic
hosts: [acacia.localhost]
region: au
timezone: Australia/Perth
upstreams: [127.0.0.1:9]
sign_in:
  methods: [password]
  second_factor: {stage: report, accept: [totp]}
access:
  - {path: /booking/*, public: true}
`

// room is the transport on an installation of its own, with a clock of its own, one
// clinician signed in, and a backend.
type room struct {
	t         testing.TB
	core      *core.Core
	transport *forward.Transport
	backend   *httptest.Server
	live      *session.Live
	clock     atomic.Int64 // seconds that have gone by
	log       bytes.Buffer
}

func newRoom(t testing.TB, backend http.HandlerFunc) *room {
	t.Helper()
	r := &room{t: t, backend: httptest.NewServer(backend)}
	t.Cleanup(r.backend.Close)
	began := time.Now()
	now := func() time.Time { return began.Add(time.Duration(r.clock.Load()) * time.Second) }
	platform, err := config.DecodePlatform("platform.yaml", []byte("header_aliases: {Remote-Clinic: X-Practice-Id, Remote-User: X-User-Email}"))
	r.must(err)
	key := filepath.Join(t.TempDir(), "master.key")
	r.must(vault.CreateMasterKey(key))
	r.core, err = core.OpenTool(t.Context(), core.Options{State: t.TempDir(), MasterKey: key, Platform: platform, Now: now})
	r.must(err)
	t.Cleanup(func() { _ = r.core.Close() })
	r.must(r.apply(document))
	r.must(r.core.DB.Create(t.Context(), "acacia"))
	who, err := r.core.Accounts.Add(t.Context(), "acacia", account.NewPerson{
		Email: "clinician@acacia.test", Name: "Clinician", Roles: []string{"clinician"}, Password: vault.NewSecret("quiet-harbour-lantern-4471"),
	})
	r.must(err)
	_, r.live, err = r.core.Sessions.Create(t.Context(), core.SessionLimits(r.practice()), session.SignIn{
		User: who.ID, ProvedAt: [4]time.Time{policy.AAL1: now()}, AMR: []string{"pwd"}, Addr: netip.MustParseAddr("127.0.0.1"),
	})
	r.must(err)
	r.transport = forward.New(r.core, slog.New(slog.NewTextHandler(&r.log, nil)))
	return r
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// apply makes a document the practice's policy.
func (r *room) apply(text string) error {
	doc, err := config.DecodeDocument("acacia.yaml", []byte(text))
	if err != nil {
		return err
	}
	_, err = r.core.Directory.Apply(r.t.Context(), doc, author, false)
	return err
}

var author = directory.Author{Who: "test", Why: "test"}

func (r *room) practice() *directory.Practice { return r.core.Directory.ByID("acacia") }

// request is one that was decided, as reverse_proxy hands it over. live may be nil.
func (r *room) request(ctx context.Context, method, path string, body io.Reader, live *session.Live) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, r.backend.URL+path, body)
	r.must(err)
	if body != nil && req.ContentLength == 0 {
		req.ContentLength = -1
	}
	req.Host, req.RequestURI = "acacia.localhost", path
	req.Header.Set("Accept", "text/html")
	x := &exchange.Exchange{Practice: r.practice(), ID: "test", Path: path, Client: netip.MustParseAddr("127.0.0.1")}
	req = req.WithContext(context.WithValue(req.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
	exchange.Attach(req, x)
	var subject *policy.Subject
	if live != nil {
		subject = live.Subject()
	}
	x.Decide(client{httptest.NewRecorder(), body}, req, live, x.Practice.Policy.Decide(subject, policy.Request{Method: method, Path: path, Client: x.Client, Now: r.core.Now()}))
	return req
}

// client is whoever sent a request: its body can be made to end.
type client struct {
	*httptest.ResponseRecorder
	body io.Reader
}

func (c client) SetReadDeadline(time.Time) error {
	if pipe, ok := c.body.(*io.PipeReader); ok {
		return pipe.CloseWithError(os.ErrDeadlineExceeded)
	}
	return nil
}

// get asks for a page and returns status and body; 0 when there is neither.
func (r *room) get(path string, live *session.Live) (status int, text string) {
	r.t.Helper()
	return r.read(r.transport.RoundTrip(r.request(r.t.Context(), "GET", path, nil, live)))
}

func (r *room) read(res *http.Response, err error) (status int, text string) {
	r.t.Helper()
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r.must(err)
	return res.StatusCode, string(body)
}

// end signs the clinician out.
func (r *room) end() error { return r.core.Sessions.End(r.t.Context(), r.live) }

// withRule is the document with a rule that only billing may look at anything.
var withRule = strings.Replace(document, "access:\n  - {path: /booking/*, public: true}\n", "access:\n  - {path: /*, roles: [billing]}\n", 1)
