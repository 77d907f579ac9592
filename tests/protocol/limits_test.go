package protocol_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/boundary/rig"
)

// served requires that somebody else is served, and soon.
func served(t *testing.T) {
	t.Helper()
	start := time.Now()
	for _, protocol := range []string{"h1", "h2"} {
		answer := rig.Send(t, gate, rig.Request{Protocol: protocol, Host: host(), Cookie: sessions.Of(t, gate, "harbour", "admin")})
		answer.Echo(t).Only(t, "X-Practice-Id", "harbour")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("others waited %s", took)
	}
}

// TestLargeBodyToTheGatewaysOwnPages is THREATS D3: each reads 64 KiB at most, said or
// unsaid, before anybody has signed in.
func TestLargeBodyToTheGatewaysOwnPages(t *testing.T) {
	large := "email=" + strings.Repeat("a", 70<<10)
	for _, page := range []string{"login", "login/totp", "enrol/totp", "logout", "account/sessions/end", "account", "session", "jwks.json", "health", "nothing", "assets/x"} {
		for _, protocol := range []string{"h1", "h2", "h3"} {
			for _, who := range []string{"", sessions.Of(t, gate, "harbour", "admin")} {
				t.Run(fmt.Sprintf("%s %s signed in %t", protocol, page, who != ""), func(t *testing.T) {
					request := rig.Request{Protocol: protocol, Host: host(), Method: "POST", Target: "/.gate/" + page, Cookie: who, Body: large,
						Header: []rig.Field{{"Content-Type", "application/x-www-form-urlencoded"}, {"Origin", "https://" + host()}}}
					if page == "logout" && who != "" {
						return // it reads no body and would end the session
					}
					rig.Refuses(t, gate, request, 413, 400, 401, 404, 405, 303)
				})
			}
		}
	}
	t.Run("endless", func(t *testing.T) {
		c := rig.Open(t, gate, "harbour.localhost")
		c.Write("POST /.gate/login HTTP/1.1\r\nHost: " + host() + "\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n")
		go func() {
			for range 4 << 10 {
				if _, err := io.WriteString(c.Conn, "1000\r\n"+strings.Repeat("a", 0x1000)+"\r\n"); err != nil {
					return
				}
			}
		}()
		c.Read("POST").CheckRefusal(t, 413, 400)
	})
	t.Run("multipart", func(t *testing.T) {
		request := rig.Request{Host: host(), Method: "POST", Target: "/.gate/login", Body: "--x\r\nContent-Disposition: form-data; name=\"email\"; filename=\"a\"\r\n\r\n" + large + "\r\n--x--\r\n",
			Header: []rig.Field{{"Content-Type", "multipart/form-data; boundary=x"}, {"Origin", "https://" + host()}}}
		rig.Refuses(t, gate, request, 413, 400, 415)
	})
}

// TestHeaderFlood is THREATS D2: refused, without a word of it in the answer.
func TestHeaderFlood(t *testing.T) {
	many := make([]rig.Field, 20_000)
	for i := range many {
		many[i] = rig.Field{fmt.Sprintf("X-A%d", i), rig.Canary}
	}
	for name, header := range map[string][]rig.Field{
		"20,000 names":     many,
		"one of 1 MiB":     {{"X-A", strings.Repeat("a", 1<<20)}},
		"a name of 1 MiB":  {{strings.Repeat("a", 1<<20), "a"}},
		"the same, 50,000": repeated(rig.Field{"X-A", "a"}, 50_000),
	} {
		for _, protocol := range []string{"h1", "h2", "h3"} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				rig.Refuses(t, gate, rig.Request{Protocol: protocol, Host: host(), Target: "/booking/x", Header: header}, 431, 400, 0)
			})
		}
	}
	t.Run("a target of 1 MiB", func(t *testing.T) {
		rig.Refuses(t, gate, rig.Request{Host: host(), Target: "/booking/?" + strings.Repeat("a", 1<<20)}, 431, 414, 400, 0)
	})
	served(t)
}

func repeated(f rig.Field, n int) []rig.Field {
	out := make([]rig.Field, n)
	for i := range out {
		out[i] = f
	}
	return out
}

// TestMalformedHead is THREATS H5 and D1: what is no request is none.
func TestMalformedHead(t *testing.T) {
	h := "Host: " + host() + "\r\nCookie: __Host-gate=" + sessions.Of(t, gate, "harbour", "admin") + "\r\n"
	for name, text := range map[string]string{
		"folded first line":       "GET /api/echo HTTP/1.1\r\n X-A: b\r\n" + h + "\r\n",
		"blank before the colon":  "GET /api/echo HTTP/1.1\r\n" + h + "X-Practice-Id : " + rig.Canary + "\r\n\r\n",
		"tab before the colon":    "GET /api/echo HTTP/1.1\r\n" + h + "X-Practice-Id\t: " + rig.Canary + "\r\n\r\n",
		"no colon":                "GET /api/echo HTTP/1.1\r\n" + h + rig.Canary + "\r\n\r\n",
		"no name":                 "GET /api/echo HTTP/1.1\r\n" + h + ": " + rig.Canary + "\r\n\r\n",
		"blank in a name":         "GET /api/echo HTTP/1.1\r\n" + h + "X Practice-Id: " + rig.Canary + "\r\n\r\n",
		"control in a name":       "GET /api/echo HTTP/1.1\r\n" + h + "X-\x01A: " + rig.Canary + "\r\n\r\n",
		"UTF-8 in a name":         "GET /api/echo HTTP/1.1\r\n" + h + "X-\u00c4: " + rig.Canary + "\r\n\r\n",
		"NUL in a value":          "GET /api/echo HTTP/1.1\r\n" + h + "X-A: \x00" + rig.Canary + "\r\n\r\n",
		"bare CR in a value":      "GET /api/echo HTTP/1.1\r\n" + h + "X-A: b\rX-Practice-Id: " + rig.Canary + "\r\n\r\n",
		"two blanks in the line":  "GET  /api/echo HTTP/1.1\r\n" + h + "\r\n",
		"tab in the line":         "GET\t/api/echo\tHTTP/1.1\r\n" + h + "\r\n",
		"blank in the target":     "GET /api/echo x HTTP/1.1\r\n" + h + "\r\n",
		"no version":              "GET /api/echo\r\n" + h + "\r\n",
		"version 2.0":             "GET /api/echo HTTP/2.0\r\n" + h + "\r\n",
		"version 1.2":             "GET /api/echo HTTP/1.2x\r\n" + h + "\r\n",
		"version 3":               "GET /api/echo HTTP/3\r\n" + h + "\r\n",
		"version in lower case":   "GET /api/echo http/1.1\r\n" + h + "\r\n",
		"version 0.9":             "GET /api/echo HTTP/0.9\r\n" + h + "\r\n",
		"preface of h2":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a TLS record inside TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"bytes":                   strings.Repeat("\xff", 200) + "\r\n\r\n",
		"PROXY protocol":          "PROXY TCP4 203.0.113.7 127.0.0.1 1 443\r\nGET /api/echo HTTP/1.1\r\n" + h + "\r\n",
		"SMTP":                    "EHLO x\r\nMAIL FROM:<a@b>\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := gate.Hits(t, "")
			c := rig.Open(t, gate, "harbour.localhost")
			c.Write(text)
			c.Read("GET").CheckRefusal(t, 400, 405, 421, 501, 505, 0)
			if gate.Hits(t, "") != before {
				t.Error("it reached the backend")
			}
		})
	}
	t.Run("plain HTTP to the TLS port", func(t *testing.T) {
		conn, err := net.Dial("tcp", gate.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		before := gate.Hits(t, "")
		_, _ = io.WriteString(conn, "GET /booking/x HTTP/1.1\r\n"+h+"\r\n")
		text, _ := io.ReadAll(conn)
		if strings.Contains(string(text), " 200 ") || strings.Contains(string(text), "Set-Cookie") || gate.Hits(t, "") != before {
			t.Errorf("answered %q", text)
		}
	})
}

// TestExpectAndRange: what a browser or a program asks of the backend arrives as it
// was said, and an expectation that nobody knows is refused.
func TestExpectAndRange(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	t.Run("100-continue", func(t *testing.T) {
		c := rig.Open(t, gate, "harbour.localhost")
		request := rig.Request{Host: host(), Cookie: cookie, Method: "POST", Body: "chart", Header: []rig.Field{{"Expect", "100-continue"}}}
		text := request.Text()
		c.Write(text[:len(text)-len("chart")])
		c.Write("chart")
		if echo := c.Read("POST").Echo(t); echo.BodyBytes != 5 {
			t.Errorf("%d bytes arrived, want 5", echo.BodyBytes)
		}
	})
	t.Run("100-continue of nobody", func(t *testing.T) {
		c := rig.Open(t, gate, "harbour.localhost")
		c.Write("POST /api/echo HTTP/1.1\r\nHost: " + host() + "\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
		answer := c.Read("POST")
		answer.CheckRefusal(t, 401)
		if len(answer.Interim) > 0 || !answer.Closed {
			t.Errorf("a body that nobody wants was asked for: %v, closed %t", answer.Interim, answer.Closed)
		}
	})
	for _, expectation := range []string{"200-ok", "100-continue-x", "nothing"} {
		t.Run(expectation, func(t *testing.T) {
			rig.Refuses(t, gate, rig.Request{Host: host(), Cookie: cookie, Method: "POST", Body: "chart", Header: []rig.Field{{"Expect", expectation}}}, 417)
		})
	}
	for _, ranges := range []string{"bytes=0-1", "bytes=0-,0-,0-,0-", "bytes=-1", "lines=1-2", "bytes=" + strings.Repeat("0-1,", 1000) + "0-1"} {
		echo := rig.Passes(t, gate, rig.Request{Host: host(), Cookie: cookie, Header: []rig.Field{{"Range", ranges}, {"If-Range", "\"x\""}}})
		echo.Only(t, "Range", ranges)
		own := rig.Send(t, gate, rig.Request{Host: host(), Target: "/.gate/login", Header: []rig.Field{{"Range", ranges}, {"Accept", "text/html"}}})
		if own.Status != http.StatusOK || own.Header.Get("Content-Range") != "" {
			t.Errorf("the sign-in page with Range %.40q: %d", ranges, own.Status)
		}
	}
}

// TestVisitorsLeaveNothingBehind is THREATS D5: who only looks at the sign-in page
// costs no state.
func TestVisitorsLeaveNothingBehind(t *testing.T) {
	size := func() (bytes int64) {
		_ = filepath.WalkDir(filepath.Join(gate.State, "practices"), func(_ string, entry fs.DirEntry, err error) error {
			if info, failed := os.Stat(filepath.Join(gate.State, "practices", entry.Name())); err == nil && failed == nil && !entry.IsDir() {
				bytes += info.Size()
			}
			return nil
		})
		return bytes
	}
	b := gate.Browser(t, "h2")
	url := "https://" + host() + "/.gate/login"
	b.Get(url)
	before := size()
	if before == 0 {
		t.Fatal("found no databases to watch")
	}
	for range 2000 {
		if answer := b.Get(url); answer.StatusCode != http.StatusOK || answer.Header["Set-Cookie"] != nil {
			t.Fatalf("%s with cookies %q", answer.Status, answer.Header["Set-Cookie"])
		}
	}
	if grown := size() - before; grown > 64<<10 {
		t.Errorf("2,000 visits left %d bytes behind", grown)
	}
}
