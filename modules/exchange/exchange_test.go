package exchange_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/config"
	"clinicgate/gateway/directory"
	"clinicgate/modules/exchange"
	"clinicgate/policy"
)

var noon = time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)

// practice has a policy by which everything below /pub is public, and whatever rules say.
func practice(t *testing.T, rules string) *directory.Practice {
	t.Helper()
	text := "practice: acacia\nname: Acacia Clinic\nhosts: [acacia.localhost]\nregion: au\ntimezone: Australia/Perth\n" +
		"upstreams: [127.0.0.1:9]\nsign_in: {methods: [password]}\n" + rules
	doc, err := config.DecodeDocument("acacia.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(doc, policy.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	return &directory.Practice{ID: "acacia", Generation: 1, Version: 1, Policy: p}
}

const public = "access: [{path: /pub/*, public: true}]\n"

// request parses a target as net/http's server does.
func request(t *testing.T, method, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{Method: method, URL: u, RequestURI: target}
}

// decided is the exchange of a request that nobody sent, as door and enforce leave it.
func decided(t *testing.T, p *directory.Practice, r *http.Request, path string) *exchange.Exchange {
	t.Helper()
	x := &exchange.Exchange{Practice: p, ID: "test", Path: path, Client: netip.MustParseAddr("192.0.2.7")}
	x.Decide(httptest.NewRecorder(), r, nil, p.Policy.Decide(nil, policy.Request{Method: r.Method, Path: path, Client: x.Client, Now: noon}))
	return x
}

// TestOnlyWhatWasDecidedPasses: the last room before the backend asks again whether
// what it holds is what was decided.
func TestOnlyWhatWasDecidedPasses(t *testing.T) {
	p := practice(t, public)
	for name, c := range map[string]struct {
		target, path string
		change       func(*http.Request)
		want         bool
	}{
		"as it came":                 {"/pub/a", "/pub/a", func(*http.Request) {}, true},
		"with a query":               {"/pub/a?x=/admin", "/pub/a", func(*http.Request) {}, true},
		"a blank, encoded":           {"/pub/a%20b", "/pub/a b", func(*http.Request) {}, true},
		"a letter, encoded":          {"/pub/%61", "/pub/a", func(*http.Request) {}, true},
		"a marked letter, encoded":   {"/pub/%C3%A9", "/pub/\u00e9", func(*http.Request) {}, true},
		"encoded in another way":     {"/pub/%61", "/pub/a", func(r *http.Request) { r.URL.RawPath = "" }, true},
		"another query":              {"/pub/a", "/pub/a", func(r *http.Request) { r.URL.RawQuery = "y=1" }, true},
		"not allowed":                {"/admin", "/admin", func(*http.Request) {}, false},
		"rewritten before":           {"/pub/b", "/pub/a", func(*http.Request) {}, false},
		"rewritten after":            {"/pub/a", "/pub/a", func(r *http.Request) { r.URL.Path = "/admin" }, false},
		"rewritten to a longer path": {"/pub/a", "/pub/a", func(r *http.Request) { r.URL.Path = "/pub/ab" }, false},
		// Of a raw path that is no spelling of the path net/url sends nothing.
		"raw path of another":          {"/pub/%61", "/pub/a", func(r *http.Request) { r.URL.RawPath = "/%61dmin" }, true},
		"raw path that climbs":         {"/pub/%61", "/pub/a", func(r *http.Request) { r.URL.RawPath = "/pub/x%2f..%2fa" }, true},
		"an encoded slash in the path": {"/pub/a", "/pub/a", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/pub/a/b", "/pub/a%2Fb" }, false},
		"opaque":                       {"/pub/a", "/pub/a", func(r *http.Request) { r.URL.Opaque = "//evil.example/admin" }, false},
		"opaque, encoded":              {"/pub/%61", "/pub/a", func(r *http.Request) { r.URL.Opaque = "/admin" }, false},
		"another method":               {"/pub/a", "/pub/a", func(r *http.Request) { r.Method = http.MethodPost }, false},
		"method in another case":       {"/pub/a", "/pub/a", func(r *http.Request) { r.Method = "get" }, false},
		"no method":                    {"/pub/a", "/pub/a", func(r *http.Request) { r.Method = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, http.MethodGet, c.target)
			x := decided(t, p, r, c.path)
			clone := r.Clone(t.Context())
			c.change(clone)
			decision, got := x.Passed(clone)
			if got != c.want || decision.Allowed() != c.want {
				t.Errorf("passed %t, with a decision that allows %t; want %t", got, decision.Allowed(), c.want)
			}
			target, _, _ := strings.Cut(clone.URL.RequestURI(), "?")
			if sent, err := policy.CanonicalPath(target); got && (err != nil || sent != c.path) {
				t.Errorf("%q is sent, %q was decided: %v", target, c.path, err)
			}
		})
	}
}

// TestExchangeWithoutADecisionRefuses: the zero value of everything.
func TestExchangeWithoutADecisionRefuses(t *testing.T) {
	p, r := practice(t, public), request(t, http.MethodGet, "/pub/a")
	allowed := decided(t, p, r, "/pub/a")
	gone := *allowed
	gone.Practice = nil
	for name, x := range map[string]*exchange.Exchange{
		"nil": nil, "zero": {}, "not decided": {Practice: p, Path: "/pub/a"}, "no practice": &gone,
	} {
		if _, passed := x.Passed(r); passed {
			t.Errorf("%s passed", name)
		}
	}
	zero := new(exchange.Exchange)
	zero.Practice = p
	zero.Decide(nil, &http.Request{URL: new(url.URL)}, nil, policy.Decision{})
	if _, passed := zero.Passed(&http.Request{URL: new(url.URL)}); passed {
		t.Error("the zero decision passed")
	}
}

// TestPracticeThatChangedDecidesAnew: what goes on for long answers to the policy of
// the moment.
func TestPracticeThatChangedDecidesAnew(t *testing.T) {
	p := practice(t, public)
	x := decided(t, p, request(t, http.MethodGet, "/pub/a"), "/pub/a")
	with := func(rules string, change func(*directory.Practice)) *directory.Practice {
		next := practice(t, rules)
		next.Version = 2
		change(next)
		return next
	}
	nothing := func(*directory.Practice) {}
	for name, c := range map[string]struct {
		now  *directory.Practice
		want bool
	}{
		"the same":            {p, true},
		"another version":     {with(public, nothing), true},
		"closed":              {with("", nothing), false},
		"from elsewhere only": {with(public+"network: {allow: [198.51.100.0/24]}\n", nothing), false},
		"suspended":           {with(public, func(p *directory.Practice) { p.Suspended = true }), false},
		"broken":              {with(public, func(p *directory.Practice) { p.Broken, p.Policy = "it is", nil }), false},
		"made anew":           {with(public, func(p *directory.Practice) { p.Generation++ }), false},
		"another practice":    {with(public, func(p *directory.Practice) { p.ID = "banksia" }), false},
		"gone":                {nil, false},
	} {
		if got := x.StillAllowed(c.now, noon); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// TestExchangeTravelsWithItsRequest and with nothing else.
func TestExchangeTravelsWithItsRequest(t *testing.T) {
	empty := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{})
	r := request(t, http.MethodGet, "/").WithContext(empty)
	if got := exchange.Of(r.Context()); got != nil {
		t.Errorf("got %v before the door", got)
	}
	x := new(exchange.Exchange)
	exchange.Attach(r, x)
	if got := exchange.Of(r.Clone(r.Context()).Context()); got != x {
		t.Errorf("got %p from a clone, want %p", got, x)
	}
	if got := exchange.Of(t.Context()); got != nil {
		t.Errorf("got %v from another request", got)
	}
}
