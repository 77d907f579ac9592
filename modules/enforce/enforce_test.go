package enforce_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
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
	"clinicgate/modules/enforce"
	"clinicgate/modules/exchange"
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
  - {path: /billing/*, roles: [billing]}
step_up:
  - {path: /prescriptions/*, methods: [POST], level: aal1, max_age: 10m}
`

// door is the handler on an installation of its own, with a clock of its own and one
// clinician signed in.
type door struct {
	t       *testing.T
	core    *core.Core
	handler *enforce.Handler
	clock   atomic.Int64 // seconds that have gone by
	state   string
	cookie  string
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{t: t, state: t.TempDir()}
	began := time.Now()
	now := func() time.Time { return began.Add(time.Duration(d.clock.Load()) * time.Second) }
	platform, err := config.DecodePlatform("platform.yaml", []byte("{}"))
	d.must(err)
	key := filepath.Join(t.TempDir(), "master.key")
	d.must(vault.CreateMasterKey(key))
	d.core, err = core.OpenTool(t.Context(), core.Options{State: d.state, MasterKey: key, Platform: platform, Now: now})
	d.must(err)
	t.Cleanup(func() { _ = d.core.Close() })
	doc, err := config.DecodeDocument("acacia.yaml", []byte(document))
	d.must(err)
	_, err = d.core.Directory.Apply(t.Context(), doc, directory.Author{Who: "test", Why: "test"}, false)
	d.must(err)
	d.must(d.core.DB.Create(t.Context(), "acacia"))
	who, err := d.core.Accounts.Add(t.Context(), "acacia", account.NewPerson{
		Email: "clinician@acacia.test", Name: "Clinician", Roles: []string{"clinician"}, Password: vault.NewSecret("quiet-harbour-lantern-4471"),
	})
	d.must(err)
	token, _, err := d.core.Sessions.Create(t.Context(), core.SessionLimits(d.practice()), session.SignIn{
		User: who.ID, ProvedAt: [4]time.Time{policy.AAL1: now()}, AMR: []string{"pwd"}, Addr: netip.MustParseAddr("127.0.0.1"),
	})
	d.must(err)
	d.cookie, d.handler = token.Reveal(), enforce.New(d.core)
	return d
}

func (d *door) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *door) practice() *directory.Practice { return d.core.Directory.ByHost("acacia.localhost") }

// knock sends a request as modules/practice hands it over, and reports whether it was
// passed on, and whether what was passed on carries its decision.
func (d *door) knock(req *http.Request, cookie string) (res *http.Response, passed bool) {
	d.t.Helper()
	req = attach(req, &exchange.Exchange{
		Practice: d.practice(), ID: "test", Path: req.URL.Path, Client: netip.MustParseAddr("127.0.0.1"), Cookies: exchange.Cookies{Session: cookie},
	})
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		passed = true
		if decision, ok := exchange.Of(r.Context()).Passed(r); !ok || !decision.Allowed() {
			d.t.Errorf("%s %s was passed on without its decision", r.Method, r.URL)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	w := httptest.NewRecorder()
	d.must(d.handler.ServeHTTP(w, req, next))
	return w.Result(), passed
}

func attach(req *http.Request, x *exchange.Exchange) *http.Request {
	req = req.WithContext(context.WithValue(req.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
	if x != nil {
		exchange.Attach(req, x)
	}
	return req
}

// page is what the address bar asks for.
func page(method, target string) *http.Request {
	req := httptest.NewRequest(method, "https://acacia.localhost"+target, nil)
	req.RequestURI = target
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req
}

func TestOnlyAnAllowedRequestIsPassedOn(t *testing.T) {
	d := newDoor(t)
	for _, row := range []struct {
		name, method, target, cookie string
		later                        int64 // seconds since the sign-in
		want                         int
		where                        string
	}{
		{"nobody", "GET", "/x?q=1", "", 0, 303, "/.gate/login?rd=%2Fx%3Fq%3D1"},
		{"a made-up cookie", "GET", "/x", "s1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, 303, "/.gate/login?rd=%2Fx"},
		{"nobody, public", "GET", "/booking/", "", 0, 204, ""},
		{"signed in", "GET", "/x", d.cookie, 0, 204, ""},
		{"role missing", "GET", "/billing/", d.cookie, 0, 403, ""},
		{"role missing, another case", "GET", "/BILLING/", d.cookie, 0, 403, ""},
		{"the gateway's own path", "GET", "/.gate/x", d.cookie, 0, 403, ""},
		{"unknown method", "BREW", "/x", d.cookie, 0, 403, ""},
		{"method in another case", "get", "/x", d.cookie, 0, 403, ""},
		{"fresh proof", "POST", "/prescriptions/1", d.cookie, 0, 204, ""},
		{"proof of almost ten minutes ago", "POST", "/prescriptions/1", d.cookie, 599, 204, ""},
		{"proof of longer ago", "POST", "/prescriptions/1", d.cookie, 601, 303, "/.gate/login?again=1&rd=%2F"},
		{"reading with an old proof", "GET", "/prescriptions/1", d.cookie, 601, 204, ""},
		{"idle for too long", "GET", "/x", d.cookie, 601 + 15*60, 303, "/.gate/login?rd=%2Fx"},
	} {
		d.clock.Store(row.later)
		res, passed := d.knock(page(row.method, row.target), row.cookie)
		if res.StatusCode != row.want || passed != (row.want == 204) || res.Header.Get("Location") != row.where {
			t.Errorf("%s: %s, passed on %t, to %q; want %d to %q", row.name, res.Status, passed, res.Header.Get("Location"), row.want, row.where)
		}
	}
}

// C8: a signed-in person's browser is made to send a form by another site.
func TestForeignOriginIsRefusedForSignedInPeople(t *testing.T) {
	d := newDoor(t)
	for origin, want := range map[string]int{"https://evil.example": 403, "null": 403, "https://acacia.localhost": 204, "http://acacia.localhost": 403, "https://acacia.localhost.evil.example": 403} {
		req := page("POST", "/x")
		req.Header.Del("Sec-Fetch-Site")
		req.Header.Set("Origin", origin)
		if res, passed := d.knock(req, d.cookie); res.StatusCode != want || passed != (want == 204) {
			t.Errorf("%s: %s, passed on %t", origin, res.Status, passed)
		}
	}
}

// Whatever is missing before it, nothing is passed on.
func TestRequestThatTheDoorHasNotSeenIsRefused(t *testing.T) {
	d := newDoor(t)
	for name, x := range map[string]*exchange.Exchange{"no exchange": nil, "no practice": {ID: "test", Path: "/booking/"}} {
		w := httptest.NewRecorder()
		err := d.handler.ServeHTTP(w, attach(page("GET", "/booking/"), x), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			t.Errorf("%s: it was passed on", name)
			return nil
		}))
		if err != nil || w.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d %v, want 500", name, w.Code, err)
		}
	}
}

// C10: a database that cannot be read is no reason to send anybody to the sign-in page.
func TestUnreadableStoreIsUndecided(t *testing.T) {
	d := newDoor(t)
	unknown, err := d.core.Sessions.NewToken(t.Context(), "acacia")
	d.must(err)
	d.must(d.core.DB.Close())
	d.must(os.WriteFile(filepath.Join(d.state, "practices", "acacia.db"), []byte("broken"), 0o600))
	res, passed := d.knock(page("GET", "/x"), unknown.Reveal())
	if res.StatusCode != http.StatusServiceUnavailable || passed || res.Header.Get("Retry-After") == "" || len(res.Header["Set-Cookie"]) > 0 {
		t.Errorf("%s, passed on %t, Retry-After %q, cookies %q", res.Status, passed, res.Header.Get("Retry-After"), res.Header["Set-Cookie"])
	}
}
