package boundary_test

import (
	"fmt"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/harness"
)

// hostile is a gateway whose practice has a backend that says whatever a test wants.
// Everything below /x/ is public.
type hostile struct {
	*harness.Gateway
	backend *rig.Backend
}

func startHostile(t *testing.T) hostile {
	t.Helper()
	h := hostile{backend: rig.NewBackend(t)}
	document := rig.Document(t, "acacia",
		"127.0.0.1:9000", h.backend.Addr, "{path: /booking/*, public: true}", "{path: /x/*, public: true}")
	h.Gateway = rig.Seed(t, document).Run(t, rig.Config{
		// A backend that broke three times is left alone for a while: then these tests
		// would only see that.
		JSON: func(config map[string]any) { delete(rig.Handlers(config)[3], "health_checks") },
	})
	return h
}

// ask sends a request whose answer the backend has been told.
func (h hostile) ask(t *testing.T, protocol, text string) rig.Answer {
	t.Helper()
	h.backend.Answers("/x/a", strings.ReplaceAll(text, "\n", "\r\n"))
	return rig.Send(t, h.Gateway, rig.Request{Protocol: protocol, Host: rig.Host(h.Gateway, "acacia"), Target: "/x/a"})
}

// TestBackendPlantsGatewayState is THREATS H9: no cookie of ours, no wiping, no weaker
// HSTS, no state of the whole origin; what is the backend's own passes.
func TestBackendPlantsGatewayState(t *testing.T) {
	h := startHostile(t)
	planted := []string{
		"Set-Cookie: __Host-gate=" + rig.Canary + "; Path=/; Secure", "Set-Cookie: __HOST-GATE=" + rig.Canary, "Set-Cookie:   __Host-gate=" + rig.Canary,
		"Set-Cookie: =__Host-gate=" + rig.Canary, `Set-Cookie: "__Host-gate"=` + rig.Canary, "Set-Cookie: __Host-gate-flow=" + rig.Canary,
		"Set-Cookie: __Host-gate-device=" + rig.Canary, "set-cookie: __Host-gate =" + rig.Canary, "Set-Cookie: __Host-gate; " + rig.Canary,
		"Set-Cookie: __Host-gate=; Max-Age=0; " + rig.Canary, "Set-Cookie: " + strings.Repeat(" ", 100) + "__Host-gate=" + rig.Canary,
		"Clear-Site-Data: \"*\", \"" + rig.Canary + "\"", "Strict-Transport-Security: max-age=0; " + rig.Canary, "strict-transport-security: max-age=1;" + rig.Canary,
		"Public-Key-Pins: " + rig.Canary, "Service-Worker-Allowed: /" + rig.Canary, "NEL: {\"report_to\":\"" + rig.Canary + "\"}", "Alt-Svc: h3=\"" + rig.Canary + ":443\"", "Proxy-Authenticate: Basic realm=\"" + rig.Canary + "\"",
		"Secure-Session-Registration: (ES256);path=\"/" + rig.Canary + "\"", "Secure-Session-Challenge: \"" + rig.Canary + "\"",
		"Sec-Session-Registration: " + rig.Canary, "Sec-Session-Challenge: " + rig.Canary,
		"X-Practice-Id: " + rig.Canary, "X-User-Roles: " + rig.Canary, "X-Gate-Assertion: " + rig.Canary, "X-Session-Id: " + rig.Canary, "x-auth-level: " + rig.Canary,
	}
	for _, protocol := range protocols {
		for _, line := range planted {
			t.Run(fmt.Sprintf("%s %.60s", protocol, line), func(t *testing.T) {
				answer := h.ask(t, protocol, "HTTP/1.1 200 OK\n"+line+"\nSet-Cookie: view=compact; Path=/\nX-Backend: own\nContent-Length: 2\nConnection: close\n\nok")
				answer.CheckHSTS(t)
				checkPlanted(t, "header", answer.Header)
				if answer.Status != 200 || answer.Text != "ok" || answer.Header.Get("X-Backend") != "own" || answer.Header.Get("Set-Cookie") != "view=compact; Path=/" {
					t.Errorf("the backend's own did not pass: %d %v %q", answer.Status, answer.Header, answer.Text)
				}
			})
			t.Run(fmt.Sprintf("%s interim %.60s", protocol, line), func(t *testing.T) {
				answer := h.ask(t, protocol, "HTTP/1.1 103 Early Hints\n"+line+"\nLink: </app.css>\n\nHTTP/1.1 200 OK\nContent-Length: 2\nConnection: close\n\nok")
				answer.CheckHSTS(t)
				checkPlanted(t, "header", answer.Header)
				for _, interim := range answer.Interim {
					checkPlanted(t, "interim", interim.Header)
					if got := interim.Header["Strict-Transport-Security"]; len(got) > 1 || len(got) == 1 && got[0] != rig.HSTS {
						t.Errorf("an interim answer carries HSTS %q", got)
					}
				}
				if answer.Status != 200 || answer.Text != "ok" {
					t.Errorf("after an interim answer: %d %q", answer.Status, answer.Text)
				}
			})
			for kind, announced := range map[string]string{"silent": "", "announced": "Trailer: " + line[:strings.Index(line, ":")] + "\n"} {
				t.Run(fmt.Sprintf("%s %s trailer %.60s", protocol, kind, line), func(t *testing.T) {
					answer := h.ask(t, protocol, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n"+announced+"Connection: close\n\n2\nok\n0\n"+line+"\n\n")
					answer.CheckHSTS(t)
					checkPlanted(t, "header", answer.Header)
					checkPlanted(t, "trailer", answer.Trailer)
					if len(answer.Trailer["Strict-Transport-Security"]) > 0 {
						t.Errorf("a trailer carries HSTS %q", answer.Trailer)
					}
				})
			}
		}
	}
}

// TestBackendCookiesStayAtTheirPractice: a backend's cookie is its host's alone, so that
// no practice's backend can give the people of a sibling a cookie.
func TestBackendCookiesStayAtTheirPractice(t *testing.T) {
	h := startHostile(t)
	for said, want := range map[string]string{
		"sid=1; Path=/; Domain=clinic.example; Secure": "sid=1; Path=/; Secure",
		"sid=1;domain=.clinic.example":                 "sid=1",
		"sid=1; DOMAIN = clinic.example ;HttpOnly":     "sid=1;HttpOnly",
		"sid=1; Domain=a; Path=/x; Domain=b":           "sid=1; Path=/x",
		"sid=1; Domain":                                "sid=1",
		"domain=clinic.example; Path=/":                "domain=clinic.example; Path=/",
		"sid=domain; Path=/domain=x":                   "sid=domain; Path=/domain=x",
	} {
		for _, protocol := range protocols {
			answer := h.ask(t, protocol, "HTTP/1.1 200 OK\nSet-Cookie: "+said+"\nContent-Length: 2\nConnection: close\n\nok")
			if got := answer.Header["Set-Cookie"]; answer.Status != 200 || len(got) != 1 || got[0] != want {
				t.Errorf("%s: %q became %q (%d), want %q", protocol, said, got, answer.Status, want)
			}
		}
	}
}

func checkPlanted(t *testing.T, where string, header map[string][]string) {
	t.Helper()
	for name, values := range header {
		if strings.Contains(strings.Join(values, " "), rig.Canary) {
			t.Errorf("the browser got the backend's %s %s: %q", where, name, values)
		}
	}
}

// TestBackendNamesOurHeadersInConnection: what a backend's Connection names is removed
// from its own answer, never from ours.
func TestBackendNamesOurHeadersInConnection(t *testing.T) {
	h := startHostile(t)
	for _, protocol := range protocols {
		answer := h.ask(t, protocol, "HTTP/1.1 200 OK\nConnection: close, Strict-Transport-Security, Set-Cookie\nContent-Length: 2\n\nok")
		answer.CheckHSTS(t)
		if answer.Status != 200 || answer.Text != "ok" {
			t.Errorf("%s: %d %q", protocol, answer.Status, answer.Text)
		}
	}
}

// TestBrokenBackend: what no proxy may pass on becomes a 502 with constant text, or an
// answer that is visibly cut, and never two answers.
func TestBrokenBackend(t *testing.T) {
	h := startHostile(t)
	for name, text := range map[string]string{
		"no HTTP":                    rig.Canary + "\n",
		"HTTP/0.9":                   "<html>" + rig.Canary,
		"nothing":                    "",
		"half a status line":         "HTTP/1.1 2",
		"status 99":                  "HTTP/1.1 099 " + rig.Canary + "\nContent-Length: 0\n\n",
		"status 1000":                "HTTP/1.1 1000 " + rig.Canary + "\nContent-Length: 0\n\n",
		"status 100 only":            "HTTP/1.1 100 Continue\n\n",
		"status 600":                 "HTTP/1.1 600 " + rig.Canary + "\nContent-Length: 0\n\n",
		"status minus":               "HTTP/1.1 -20 " + rig.Canary + "\nContent-Length: 0\n\n",
		"two lengths":                "HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3\n\nok",
		"negative length":            "HTTP/1.1 200 OK\nContent-Length: -2\n\n" + rig.Canary,
		"length no number":           "HTTP/1.1 200 OK\nContent-Length: 0x2\n\n" + rig.Canary,
		"header without colon":       "HTTP/1.1 200 OK\n" + rig.Canary + "\nContent-Length: 0\n\n",
		"NUL in a value":             "HTTP/1.1 200 OK\nX-A: a\x00" + rig.Canary + "\nContent-Length: 0\n\n",
		"unknown transfer coding":    "HTTP/1.1 200 OK\nTransfer-Encoding: xchunked\n\n" + rig.Canary,
		"endless header":             "HTTP/1.1 200 OK\nX-A: " + strings.Repeat(rig.Canary, 12<<20/len(rig.Canary)) + "\n\n",
		"switches unasked":           "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\n" + rig.Canary,
		"switches to h2c":            "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: h2c\n\n" + rig.Canary,
		"switches without a name":    "HTTP/1.1 101 Switching Protocols\n\n" + rig.Canary,
		"endless interim answers":    strings.Repeat("HTTP/1.1 103 Early Hints\nX-A: "+strings.Repeat("a", 1000)+"\n\n", 5000),
		"control in the status text": "HTTP/1.1 200 O\x1bK\nContent-Length: 0\n\n",
	} {
		for _, protocol := range protocols {
			t.Run(protocol+" "+name, func(t *testing.T) {
				answer := h.ask(t, protocol, text)
				if name == "control in the status text" {
					answer.CheckRefusal(t, 200, 502) // the text never leaves: HTTP/2 has none, HTTP/1.1 gets ours
					return
				}
				answer.CheckRefusal(t, 502)
				if got := answer.Header.Get("Retry-After"); got == "" {
					t.Error("502 without Retry-After")
				}
			})
		}
	}
	for name, text := range map[string]string{
		"blank before colon": "HTTP/1.1 200 OK\nSet-Cookie : " + rig.Canary + "\nContent-Length: 0\n\n",
		"short body":         "HTTP/1.1 200 OK\nContent-Length: 100\n\nok",
		"broken chunk":       "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\nZZ\n" + rig.Canary,
		"missing last chunk": "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n",
		"body and a second":  "HTTP/1.1 200 OK\nContent-Length: 2\n\nokHTTP/1.1 200 OK\nContent-Length: 10\n\n" + rig.Canary,
		"both framings":      "HTTP/1.1 200 OK\nContent-Length: 40\nTransfer-Encoding: chunked\n\n2\nok\n0\n\nHTTP/1.1 200 OK\n\n" + rig.Canary,
		"204 with a body":    "HTTP/1.1 204 No Content\nContent-Length: 10\n\n" + rig.Canary,
		"304 with a body":    "HTTP/1.1 304 Not Modified\nContent-Length: 10\n\n" + rig.Canary,
	} {
		for _, protocol := range protocols {
			t.Run(protocol+" "+name, func(t *testing.T) {
				answer := h.ask(t, protocol, text)
				answer.CheckHSTS(t)
				checkPlanted(t, "header", answer.Header)
				if strings.Contains(answer.Text, rig.Canary) || len(answer.Text) > 2 {
					t.Errorf("%d %q goes on behind its end", answer.Status, answer.Text)
				}
			})
		}
	}
}
