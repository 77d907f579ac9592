package answer_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"clinicgate/modules/answer"
)

func request(method, target string, header http.Header) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.Host, r.RequestURI = "a.example", target
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL = u
	}
	if header != nil {
		r.Header = header
	}
	return r
}

func TestEveryAnswerBeginsTheSameWay(t *testing.T) {
	for name, c := range map[string]struct {
		change      func(*http.Request)
		hsts, close bool
	}{
		"TLS":                    {func(*http.Request) {}, true, false},
		"no TLS":                 {func(r *http.Request) { r.TLS = nil }, false, false},
		"chunked":                {func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, true, true},
		"HTTP/1.0":               {func(r *http.Request) { r.ProtoMinor = 0 }, true, true},
		"HTTP/2":                 {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, true, false},
		"waits to be asked":      {func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, true, true},
		"waits, over HTTP/2":     {func(r *http.Request) { r.ProtoMajor = 2; r.Header.Set("Expect", "100-continue") }, true, false},
		"chunked, without TLS":   {func(r *http.Request) { r.TLS, r.TransferEncoding = nil, []string{"chunked"} }, false, true},
		"a length, as it should": {func(r *http.Request) { r.ContentLength = 5 }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := request("POST", "/", nil), httptest.NewRecorder()
			r.TLS = new(tls.ConnectionState)
			c.change(r)
			answer.Begin(w, r)
			if got := w.Header().Get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains"; got != c.hsts {
				t.Errorf("HSTS %t, want %t", got, c.hsts)
			}
			if got := w.Header().Get("Connection") == "close"; got != c.close {
				t.Errorf("close %t, want %t", got, c.close)
			}
		})
	}
}

func TestOnlyATopLevelNavigationIsRedirected(t *testing.T) {
	for name, c := range map[string]struct {
		header           http.Header
		navigates, pages bool
	}{
		"address bar":            {http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true, true},
		"iframe":                 {http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false, true},
		"fetch of a document":    {http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"document"}}, false, true},
		"fetch":                  {http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}}, false, false},
		"image":                  {http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, false, false},
		"old browser":            {http.Header{"Accept": {"text/html,*/*"}}, true, true},
		"old XMLHttpRequest":     {http.Header{"Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}}, false, false},
		"program":                {http.Header{"Accept": {"*/*"}}, false, false},
		"event stream":           {http.Header{"Accept": {"text/event-stream"}}, false, false},
		"WebSocket":              {http.Header{"Upgrade": {"websocket"}, "Accept": {"text/html"}}, false, false},
		"WebSocket of a browser": {http.Header{"Upgrade": {"websocket"}, "Sec-Fetch-Mode": {"websocket"}, "Sec-Fetch-Dest": {"empty"}}, false, false},
		"nothing":                {http.Header{}, false, false},
	} {
		r := request("GET", "/", c.header)
		if got := answer.IsNavigation(r); got != c.navigates {
			t.Errorf("%s: navigation %t, want %t", name, got, c.navigates)
		}
		if got := answer.WantsPage(r); got != c.pages {
			t.Errorf("%s: page %t, want %t", name, got, c.pages)
		}
	}
}

func TestReturnAddressStaysAtHome(t *testing.T) {
	for name, c := range map[string]struct{ method, target, referer, want string }{
		"a page":                    {"GET", "/a?b=c", "", "/a?b=c"},
		"a head":                    {"HEAD", "/a", "", "/a"},
		"a form":                    {"POST", "/a", "https://a.example/form?x=1", "/form?x=1"},
		"a form of another host":    {"POST", "/a", "https://evil.example/form", "/"},
		"a form of a longer host":   {"POST", "/a", "https://a.example.evil/form", "/"},
		"a form of another port":    {"POST", "/a", "https://a.example:1/form", "/"},
		"a form without a page":     {"POST", "/a", "", "/"},
		"a form of no address":      {"POST", "/a", "https://%zz", "/"},
		"a form of an opaque":       {"POST", "/a", "javascript:alert(1)", "/"},
		"a form of nothing":         {"POST", "/a", "https://a.example", "/"},
		"a form with userinfo":      {"POST", "/a", "https://a.example@evil.example/x", "/"},
		"a form that says two dots": {"DELETE", "/a", "//evil.example/x", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(c.method, c.target, http.Header{"Referer": {c.referer}})
			for _, address := range []string{answer.LoginURL(r), answer.StepUpURL(r), answer.EnrolURL(r)} {
				path, query, _ := strings.Cut(address, "?")
				values, err := url.ParseQuery(query)
				if err != nil || !strings.HasPrefix(path, "/.gate/") || len(values) != 1 || values.Get("rd") != c.want {
					t.Errorf("%q leads back to %q, want %q", address, values.Get("rd"), c.want)
				}
			}
		})
	}
}

func FuzzReturnAddress(f *testing.F) {
	for _, seed := range []string{"https://a.example/x", "//evil", `/\evil`, "javascript:x", "https://a.example//evil", "https://a.example@evil/x", "https://a.example/%0d%0aSet-Cookie:x"} {
		f.Add(true, seed)
		f.Add(false, seed)
	}
	f.Fuzz(func(t *testing.T, form bool, text string) {
		method, target := "POST", "/x"
		if !form {
			if u, err := url.ParseRequestURI(text); err != nil || u.Host != "" || u.Scheme != "" {
				return // the door refuses it
			}
			method, target = "GET", text
		}
		r := request(method, target, http.Header{"Referer": {text}})
		address := answer.LoginURL(r)
		if strings.ContainsAny(address, "\r\n\x00 ") || !strings.HasPrefix(address, "/.gate/login?rd=") || strings.Contains(address[1:], "//") {
			t.Errorf("%q leads to %q", text, address)
		}
	})
}

func TestRetryAfterIsNeverNow(t *testing.T) {
	for after, want := range map[time.Duration]string{-time.Second: "1", 0: "1", 1: "1", time.Second: "1", time.Second + 1: "2", time.Minute: "60"} {
		w := httptest.NewRecorder()
		answer.SetRetryAfter(w, after)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%s: got %s, want %s", after, got, want)
		}
	}
}
