package protocol_test

import (
	"fmt"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// tail is what an attacker hides behind a request: a second one, which a front that
// sees the first one's end elsewhere would take for the next person's.
func tail(cookie string) string {
	return rig.Request{Target: "/api/echo?smuggled", Host: host(), Cookie: cookie}.Text()
}

// ambiguousBodies are requests of which two parsers see the end at different places.
// {h} is the Host line, {tail} the hidden request, {n} its length.
var ambiguousBodies = map[string]string{
	"CL.TE":                    "POST /api/echo HTTP/1.1\r\n{h}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE.CL":                    "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{tail}",
	"CL 0 and TE":              "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE in upper case":         "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n{tail}",
	"TE behind a bare LF":      "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nX-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE with a tab":            "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n{tail}",
	"TE with blanks":           "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding:  chunked \r\n\r\n0\r\n\r\n{tail}",
	"TE with a form feed":      "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n{tail}",
	"TE quoted":                "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{tail}",
	"TE folded":                "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE, blank before colon":   "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE, blank before name":    "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE, NUL":                  "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n{tail}",
	"TE, vertical tab":         "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{tail}",
	"TE, bare CR":              "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE identity":              "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{tail}",
	"TE xchunked":              "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{tail}",
	"TE empty":                 "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 5\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n{tail}",
	"TE gzip, chunked":         "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE chunked, identity":     "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{tail}",
	"TE chunked, chunked":      "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE twice":                 "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{tail}",
	"TE with a parameter":      "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n{tail}",
	"TE on GET":                "GET /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE and CL on GET":         "GET /api/echo HTTP/1.1\r\n{h}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE in HTTP/1.0":           "POST /api/echo HTTP/1.0\r\n{h}Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE in HTTP/1.0, no CL":    "POST /api/echo HTTP/1.0\r\n{h}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"HTTP/1.0 kept alive":      "GET /api/echo HTTP/1.0\r\n{h}Connection: keep-alive\r\n\r\n{tail}",
	"TE on a refused path":     "POST /../x HTTP/1.1\r\n{h}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE on the gateway's page": "POST /.gate/login HTTP/1.1\r\n{h}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE on a stylesheet":       "GET /.gate/assets/x HTTP/1.1\r\n{h}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE with a long method":    strings.Repeat("A", 100) + " /api/echo HTTP/1.1\r\n{h}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"TE of an unknown host":    "POST /api/echo HTTP/1.1\r\nHost: nobody.localhost\r\nContent-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
	"two lengths":              "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0\r\nContent-Length: {n}\r\n\r\n{tail}",
	"two lengths, other order": "POST /api/echo HTTP/1.1\r\n{h}Content-Length: {n}\r\nContent-Length: 0\r\n\r\n{tail}",
	"two lengths in one line":  "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0, {n}\r\n\r\n{tail}",
	"length behind a bare LF":  "POST /api/echo HTTP/1.1\r\n{h}X-A: b\nContent-Length: {n}\r\nContent-Length: 0\r\n\r\n{tail}",
	"negative length":          "POST /api/echo HTTP/1.1\r\n{h}Content-Length: -1\r\n\r\n{tail}",
	"plus length":              "POST /api/echo HTTP/1.1\r\n{h}Content-Length: +0\r\n\r\n{tail}",
	"hex length":               "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0x0\r\n\r\n{tail}",
	"length with underscore":   "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0_0\r\n\r\n{tail}",
	"length with a blank":      "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0 0\r\n\r\n{tail}",
	"length with a tail":       "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0;\r\n\r\n{tail}",
	"length beyond 64 bit":     "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 18446744073709551616\r\n\r\n{tail}",
	"length folded":            "POST /api/echo HTTP/1.1\r\n{h}Content-Length: 0\r\n 5\r\n\r\n{tail}",
	"length, blank, colon":     "POST /api/echo HTTP/1.1\r\n{h}Content-Length : 0\r\n\r\n{tail}",
	"length empty":             "POST /api/echo HTTP/1.1\r\n{h}Content-Length: \r\n\r\n{tail}",
	"trailers hide a request":  "POST /api/echo HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: {n}\r\n\r\n{tail}",
	"Expect and TE":            "POST /api/echo HTTP/1.1\r\n{h}Expect: 100-continue\r\nContent-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{tail}",
}

// TestNothingBehindAnAmbiguousBodyIsServed is THREATS D1 and fact 13: the backend sees
// one request or none, and the connection ends: what comes behind is nobody's.
func TestNothingBehindAnAmbiguousBodyIsServed(t *testing.T) { tryTails(t, ambiguousBodies) }

// tryTails sends each request with a hidden one behind it.
func tryTails(t *testing.T, bodies map[string]string) {
	t.Helper()
	cookie := sessions.Of(t, gate, "harbour", "admin")
	hidden := tail(cookie)
	tried := 0
	for name, text := range bodies {
		for who, line := range map[string]string{"a person": "Cookie: __Host-gate=" + cookie + "\r\n", "nobody": ""} {
			t.Run(name+" of "+who, func(t *testing.T) {
				tried++
				target := fmt.Sprintf("/api/echo?tail-%d-of-%d", tried, len(bodies)) // what comes late from the one before does not count
				text, smuggled := strings.Replace(text, " /api/echo ", " "+target+" ", 1), gate.Hits(t, "/api/echo?smuggled")
				c := rig.Open(t, gate, "harbour.localhost")
				c.Write(strings.NewReplacer("{h}", "Host: "+host()+"\r\n"+line, "{tail}", hidden, "{n}", fmt.Sprint(len(hidden)+5)).Replace(text))
				answer := c.Read("POST")
				answer.CheckHSTS(t)
				if rest := c.Rest(); rest != "" {
					t.Errorf("behind the first answer (%d): %.300q", answer.Status, rest)
				}
				if got := gate.Hits(t, target); got > 1 || got == 1 && who == "nobody" {
					t.Errorf("the backend saw %d requests", got)
				}
				if gate.Hits(t, "/api/echo?smuggled") != smuggled {
					t.Error("the hidden request reached the backend")
				}
			})
		}
	}
}

// TestKeptConnectionServesEachRequestAsItself: the same tails behind clean requests
// are requests, each with its own decision.
func TestKeptConnectionServesEachRequestAsItself(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	c := rig.Open(t, gate, "harbour.localhost")
	person := rig.Request{Host: host(), Cookie: cookie, Method: "POST", Body: "chart"}
	nobody := rig.Request{Host: host()}
	c.Write(person.Text() + nobody.Text() + person.Text())
	if got := c.Read("POST"); got.Echo(t).BodyBytes != 5 {
		t.Errorf("the first: %+v", got)
	}
	c.Read("GET").CheckRefusal(t, 401)
	c.Read("POST").Echo(t).Only(t, "X-User-Email", "admin@harbour.test")
}

// TestBodyTellsTheBackendOneLength: the backend gets a length or chunks, never both,
// and none of the client's framing or hop-by-hop fields.
func TestBodyTellsTheBackendOneLength(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	for name, request := range map[string]rig.Request{
		"length":          {Method: "POST", Body: "chart"},
		"chunked":         {Method: "POST", Body: "chart", Trailer: []rig.Field{{"X-A", "b"}}},
		"h2":              {Protocol: "h2", Method: "POST", Body: "chart"},
		"h2, length said": {Protocol: "h2", Method: "POST", Body: "chart", Header: []rig.Field{{"content-length", "5"}}},
		"h3":              {Protocol: "h3", Method: "POST", Body: "chart"},
		"TE":              {Method: "POST", Body: "chart", Header: []rig.Field{{"TE", "trailers, deflate"}, {"Connection", "TE"}}},
		"h2 TE":           {Protocol: "h2", Method: "POST", Body: "chart", Header: []rig.Field{{"te", "trailers"}}},
	} {
		t.Run(name, func(t *testing.T) {
			request.Host, request.Cookie = host(), cookie
			echo := rig.Passes(t, gate, request)
			if echo.BodyBytes != 5 {
				t.Errorf("%d bytes of body, want 5", echo.BodyBytes)
			}
			for _, hop := range []string{"Te", "Trailer", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Connection"} {
				if got := echo.Headers[hop]; got != nil {
					t.Errorf("the backend saw %s %q", hop, got)
				}
			}
		})
	}
	for name, request := range map[string]rig.Request{
		"h2, length too small": {Protocol: "h2", Method: "POST", Body: "chart", Header: []rig.Field{{"content-length", "1"}}},
		"h2, length too large": {Protocol: "h2", Method: "POST", Body: "chart", Header: []rig.Field{{"content-length", "50"}}},
		"h2, two lengths":      {Protocol: "h2", Method: "POST", Body: "chart", Header: []rig.Field{{"content-length", "5"}, {"content-length", "6"}}},
		"h2, negative length":  {Protocol: "h2", Method: "POST", Body: "chart", Header: []rig.Field{{"content-length", "-5"}}},
		"h2, chunked":          {Protocol: "h2", Method: "POST", Body: "0\r\n\r\nGET / HTTP/1.1\r\n\r\n", Header: []rig.Field{{"transfer-encoding", "chunked"}}},
		"h2, TE other":         {Protocol: "h2", Header: []rig.Field{{"te", "chunked"}}},
	} {
		t.Run(name, func(t *testing.T) {
			request.Host, request.Cookie = host(), cookie
			before := gate.Hits(t, "")
			answer := rig.Send(t, gate, request)
			answer.CheckHSTS(t)
			if got := gate.Hits(t, "") - before; answer.Status == 200 || got > 1 {
				if answer.Status == 200 && got == 1 {
					if echo := answer.Echo(t); echo.BodyBytes == int64(len(request.Body)) && len(echo.Headers["Content-Length"]) < 2 {
						return // read as it was meant: one request, one length
					}
				}
				t.Errorf("%d %.200q, the backend saw %d requests", answer.Status, answer.Text, got)
			}
		})
	}
}
