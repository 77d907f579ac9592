package practice_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"clinicgate/modules/practice"
)

// hostRequest is a request as net/http hands it over: the SNI is sni, none without TLS.
func hostRequest(host, sni string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host, r.TLS = host, nil
	if sni != "" {
		r.TLS = &tls.ConnectionState{ServerName: sni}
	}
	return r
}

func TestHostNamesOnePracticeOrNone(t *testing.T) {
	for name, c := range map[string]struct{ host, sni, want string }{
		"plain":            {"a.example", "a.example", "a.example"},
		"upper case":       {"A.Example", "a.EXAMPLE", "a.example"},
		"port":             {"a.example:8443", "a.example", "a.example"},
		"no TLS":           {"a.example", "", "a.example"},
		"digits, hyphens":  {"1-a.2b", "1-a.2b", "1-a.2b"},
		"other SNI":        {"a.example", "b.example", ""},
		"no SNI":           {"a.example:443", "127.0.0.1", ""},
		"trailing dot":     {"a.example.", "a.example", ""},
		"dot in both":      {"a.example.", "a.example.", ""},
		"leading dot":      {".a.example", ".a.example", ""},
		"empty":            {"", "", ""},
		"port alone":       {":443", "", ""},
		"colon alone":      {"a.example:", "a.example", ""},
		"port 0":           {"a.example:0", "a.example", ""},
		"port with zeros":  {"a.example:00443", "a.example", ""},
		"port too large":   {"a.example:65536", "a.example", ""},
		"port with a sign": {"a.example:+443", "a.example", ""},
		"port a word":      {"a.example:https", "a.example", ""},
		"two ports":        {"a.example:1:2", "a.example", ""},
		"IPv6":             {"[::1]", "::1", ""},
		"IPv6 and port":    {"[::1]:443", "::1", ""},
		"userinfo":         {"x@a.example", "x@a.example", ""},
		"underscore":       {"a_b.example", "a_b.example", ""},
		"blank":            {"a .example", "a .example", ""},
		"not ASCII":        {"\u00e4.example", "\u00e4.example", ""},
		"Kelvin sign":      {"\u212a.example", "k.example", ""},
		"254 letters":      {strings.Repeat("a", 254), strings.Repeat("a", 254), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := practice.HostOf(hostRequest(c.host, c.sni))
			if got != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %t; want %q", got, ok, c.want)
			}
		})
	}
	t.Run("a host field beside :authority", func(t *testing.T) {
		r := hostRequest("a.example", "a.example")
		r.Header["Host"] = []string{"b.example"}
		if got, ok := practice.HostOf(r); ok {
			t.Errorf("got %q, want none", got)
		}
	})
}

func FuzzHostOf(f *testing.F) {
	for _, seed := range []string{"a.example", "A:443", "a.:1", "[::1]:1", "a:99999", "a@b", "\u212a", ".", ":", "a..b", "xn--a"} {
		f.Add(seed, "a.example")
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, host, sni string) {
		got, ok := practice.HostOf(hostRequest(host, sni))
		switch {
		case !ok && got != "":
			t.Errorf("refused, and yet %q", got)
		case ok && (got == "" || got != strings.ToLower(got) || strings.ContainsAny(got, ":/@[]_ \t\r\n\x00") || strings.HasSuffix(got, ".") || strings.HasPrefix(got, ".")):
			t.Errorf("%q is no host name", got)
		case ok && sni != "" && !strings.EqualFold(got, sni):
			t.Errorf("%q over a connection to %q", got, sni)
		case ok && !strings.HasPrefix(strings.ToLower(host), got):
			t.Errorf("%q out of %q", got, host)
		}
	})
}
