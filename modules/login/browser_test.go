package login_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/pquerna/otp/totp"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/core"
	"clinicgate/gateway/demo"
	"clinicgate/gateway/vault"
	"clinicgate/modules/exchange"
	"clinicgate/modules/login"
	"clinicgate/policy"
)

// gate is the sign-in handler with the demo's people behind it, without Caddy.
type gate struct {
	*testing.T
	core      *core.Core
	began     time.Time
	passed    atomic.Int64 // nanoseconds; time stands still until a test lets it pass
	handler   *login.Handler
	practices []demo.Practice
}

func newGate(t *testing.T, formTime time.Duration) *gate {
	t.Helper()
	dir := t.TempDir()
	o, err := core.ReadOptions(core.Files{State: filepath.Join(dir, "state"), MasterKey: filepath.Join(dir, "master.key")})
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{T: t, began: time.Now().Truncate(time.Second)} // Retry-After has no parts of one
	o.Now = func() time.Time { return g.began.Add(time.Duration(g.passed.Load())) }
	if err := vault.CreateMasterKey(o.MasterKey); err != nil {
		t.Fatal(err)
	}
	c, err := core.OpenTool(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if g.practices, err = demo.Seed(t.Context(), c, "443", "127.0.0.1:9"); err != nil {
		t.Fatal(err)
	}
	g.core, g.handler = c, login.Open(c, formTime)
	return g
}

// pass lets time pass.
func (g *gate) pass(d time.Duration) { g.passed.Add(int64(d)) }

// who returns an account of the demo.
func (g *gate) who(id policy.PracticeID, name string) demo.Account {
	g.Helper()
	for _, p := range g.practices {
		for _, a := range p.Accounts {
			if p.ID == id && strings.HasPrefix(a.Email, name+"@") {
				return a
			}
		}
	}
	g.Fatalf("no %s at %s", name, id)
	return demo.Account{}
}

// serve is what modules/practice does before the handler, and the handler.
func (g *gate) serve(w http.ResponseWriter, r *http.Request, id policy.PracticeID, cookies exchange.Cookies) {
	g.Helper()
	ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{})
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	r = r.WithContext(ctx)
	exchange.Attach(r, &exchange.Exchange{
		ID: "test", Practice: g.core.Directory.ByID(id), Path: r.URL.Path, Client: netip.MustParseAddr("127.0.0.1"), Cookies: cookies,
	})
	none := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if err := g.handler.ServeHTTP(w, r, none); err != nil {
		g.Errorf("%s: %v", r.URL.Path, err)
	}
}

// form is a form whose sender hangs up the moment that its last byte has been read.
func (g *gate) form(id policy.PracticeID, path string, cookies exchange.Cookies, form url.Values) *http.Response {
	g.Helper()
	ctx, hangUp := context.WithCancel(g.Context())
	defer hangUp()
	body := io.MultiReader(strings.NewReader(form.Encode()), ending(hangUp))
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://a.example"+path, body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	g.serve(w, r, id, cookies)
	if ctx.Err() == nil {
		g.Fatalf("%s answered without having read the form", path)
	}
	return w.Result()
}

// ending is an empty reader that does something when its end is read.
type ending func()

func (e ending) Read([]byte) (int, error) { e(); return 0, io.EOF }

// cookie is what an answer sets.
func cookie(res *http.Response, name string) string {
	for _, c := range res.Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// audited reports whether the practice's log holds an action.
func (g *gate) audited(id policy.PracticeID, action string) bool {
	g.Helper()
	records, err := g.core.Audit.Tail(g.Context(), id, 100)
	if err != nil {
		g.Fatal(err)
	}
	return slices.ContainsFunc(records, func(r audit.Record) bool { return r.Action == action })
}

// code is what an app with that key shows now.
func (g *gate) code(key string) string {
	g.Helper()
	code, err := totp.GenerateCode(key, g.core.Now())
	if err != nil {
		g.Fatal(err)
	}
	return code
}
