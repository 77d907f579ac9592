package auditlog_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// canary stands for what names a patient or opens something.
const canary = "canary-4417"

// answers are a backend's, by the path that they are asked at.
var answers = map[string]string{
	"/pub/found":    "HTTP/1.1 302 Found\r\nLocation: /" + canary + "\r\nX-Patient: " + canary + "\r\nSet-Cookie: view=" + canary + "\r\nContent-Length: 0\r\n\r\n",
	"/pub/switch":   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\nX-Patient: " + canary + "\r\n\r\n",
	"/pub/hop":      "HTTP/1.1 200 OK\r\nConnection: X-Patient\r\nX-Patient: " + canary + "\r\nContent-Length: 0\r\n\r\n",
	"/pub/cut":      "HTTP/1.1 200 OK\r\nX-Patient: " + canary + "\r\nContent-Length: 9\r\n\r\ncut",
	"/pub/broken":   "HTTP/1.1 200 " + canary + "\r\nbroken line " + canary + "\r\n\r\n",
	"/pub/nonsense": canary + "\r\n\r\n",
	"/pub/silent":   "",
}

// TestNoLogTellsWhatWasAskedFor (A5): whatever the level, and whatever becomes of a
// request, neither its address nor a header of it or of its answer is in the log.
func TestNoLogTellsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	loud(t, g)
	p, client := g.Practice("harbour"), probe.Client(t, g, "")
	browser := g.Browser(t, "h1")
	browser.SignIn(p, p.Account("admin"))
	session := probe.Session + "=" + browser.Cookie(p.URL, probe.Session)
	for path, want := range map[string]int{
		"/nothing-here": 404, "/api/echo": 200, "/stepup?always=1": 403, "/.gate/account": 200, "/.gate/nothing": 404, "/a/%2e%2e/": 400,
	} {
		ask(t, client, p, path, want, session)
	}
	ask(t, client, p, "/patients", 303)

	dead := publicAt(t, g, "dead", "127.0.0.1:1")
	ask(t, client, dead, "/pub/patients", 502)
	wild := publicAt(t, g, "wild", backendOf(t, answers))
	for path := range answers {
		ask(t, client, wild, path, 0)
	}
	g.Stop()
	for line := range strings.Lines(g.Log()) {
		if strings.Contains(line, canary) {
			t.Errorf("the log tells: %.1500s", line)
		}
	}
	for _, want := range []string{`"level":"debug"`, `"msg":"upstream roundtrip"`, `"msg":"backend does not answer"`} {
		if !strings.Contains(g.Log(), want) {
			t.Errorf("the log has no %s, so this test proves little", want)
		}
	}
}

// ask asks for a page with canaries wherever a browser puts anything. want 0 takes any
// answer, also a broken one.
func ask(t *testing.T, client *http.Client, p harness.Practice, path string, want int, cookies ...string) {
	t.Helper()
	sign := "?"
	if strings.Contains(path, "?") {
		sign = "&"
	}
	req := probe.Page(p, path+sign+"name="+canary, append(cookies, "view="+canary)...)
	for _, name := range []string{"Authorization", "Referer", "User-Agent", "X-Patient", "X-Forwarded-For", "X-User-Id"} {
		req.Header.Set(name, canary)
	}
	res, err := client.Do(req)
	if err != nil {
		if want != 0 {
			t.Errorf("%s: %v", path, err)
		}
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // some end in the middle
	if want != 0 && res.StatusCode != want {
		t.Errorf("%s: got %s, want %d", path, res.Status, want)
	}
}

// publicAt makes a practice with a public path before a backend of its own.
func publicAt(t *testing.T, g *harness.Gateway, id, upstream string) harness.Practice {
	t.Helper()
	document := fmt.Sprintf("practice: %[1]s\nname: Test Practice\nhosts: [%[1]s.localhost]\nregion: au\ntimezone: Australia/Perth\n"+
		"upstreams: [%[2]s]\naccess:\n  - {path: /pub/*, public: true}\n", id, upstream)
	probe.MustWith(t, g, document, "practice", "apply", "-f", "-")
	_, port, _ := net.SplitHostPort(g.Addr)
	p := harness.Practice{ID: id, URL: "https://" + id + ".localhost:" + port}
	probe.Eventually(t, 10*time.Second, id+" is served", func() bool {
		res, err := probe.Client(t, g, "").Do(probe.Page(p, "/.gate/login"))
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	return p
}

// backendOf is a backend that answers word for word and hangs up.
func backendOf(t *testing.T, answers map[string]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, answers[req.URL.Path])
				}
			}()
		}
	}()
	return l.Addr().String()
}
