package practice_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"clinicgate/modules/practice"
)

// forwarded is a request whose client Caddy found to be client.
func forwarded(client string, trusted bool, lines ...string) *http.Request {
	vars := map[string]any{caddyhttp.ClientIPVarKey: client, caddyhttp.TrustedProxyVarKey: trusted}
	r := &http.Request{Header: http.Header{}, RemoteAddr: "10.0.0.1:5000"}
	if lines != nil {
		r.Header["X-Forwarded-For"] = lines
	}
	return r.WithContext(context.WithValue(context.Background(), caddyhttp.VarsCtxKey, vars))
}

func TestClientAddressIsOneOrNone(t *testing.T) {
	for name, c := range map[string]struct {
		r    *http.Request
		want string // "" is none
		told string // what is left of X-Forwarded-For for reverse_proxy
	}{
		"connection":            {forwarded("203.0.113.7", false), "203.0.113.7", ""},
		"mapped":                {forwarded("::ffff:203.0.113.7", false), "203.0.113.7", ""},
		"zone":                  {forwarded("fe80::1%eth0", false), "fe80::1", ""},
		"no address":            {forwarded("@", false), "", ""},
		"nothing":               {forwarded("", false), "", ""},
		"trusted":               {forwarded("203.0.113.7", true, "203.0.113.7"), "203.0.113.7", "203.0.113.7"},
		"trusted, other form":   {forwarded("2001:db8::1", true, "2001:DB8:0::1"), "2001:db8::1", "2001:db8::1"},
		"trusted, port":         {forwarded("203.0.113.7", true, "203.0.113.7:80, 10.0.0.2:80"), "203.0.113.7", "203.0.113.7"},
		"trusted, lines":        {forwarded("203.0.113.7", true, "x", "203.0.113.7", "10.0.0.2"), "203.0.113.7", "203.0.113.7"},
		"trusted, empties":      {forwarded("203.0.113.7", true, ",203.0.113.7,, ,"), "203.0.113.7", "203.0.113.7"},
		"trusted, not its list": {forwarded("203.0.113.7", true), "203.0.113.7", "203.0.113.7"},
		"trusted, the peer":     {forwarded("10.0.0.1", true, "10.0.0.2"), "10.0.0.1", ""},
		"behind a word":         {forwarded("203.0.113.7", true, "203.0.113.7, unknown"), "", ""},
		"behind a word, lines":  {forwarded("203.0.113.7", true, "203.0.113.7", "unknown"), "", ""},
		"before a word":         {forwarded("203.0.113.7", true, "unknown, 203.0.113.7"), "203.0.113.7", "203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			got := practice.ClientAddr(c.r)
			if text := got.String(); got.IsValid() && text != c.want || !got.IsValid() && c.want != "" {
				t.Errorf("got %v, want %q", got, c.want)
			}
			delete(c.r.Header, "X-Forwarded-For")
			practice.TellClient(c.r, got)
			if told := c.r.Header.Get("X-Forwarded-For"); told != c.told {
				t.Errorf("the backend is told %q, want %q", told, c.told)
			}
		})
	}
}

func FuzzClientAddr(f *testing.F) {
	for _, seed := range []string{"203.0.113.7", "203.0.113.7, 10.0.0.2", "unknown", "203.0.113.7, x", ",,", "[2001:db8::1]:80", "fe80::1%0", strings.Repeat(",", 1000)} {
		f.Add("203.0.113.7", seed)
	}
	f.Fuzz(func(t *testing.T, client, list string) {
		got := practice.ClientAddr(forwarded(client, true, list))
		if got.IsValid() && (got.Zone() != "" || got.Is4In6() || got == netip.Addr{}) {
			t.Errorf("%v has two spellings", got)
		}
	})
}
