package backend_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/demo/backend"

	"github.com/google/go-cmp/cmp"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	return ctx, stop
}

// raw sends bytes as they are and returns the answer.
func raw(t *testing.T, url, text string) *http.Response {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func TestEchoShowsTheRequestAsItArrived(t *testing.T) {
	url := start(t, backend.Options{})
	answer := raw(t, url, "POST /api/echo?a=%41;b HTTP/1.1\r\nHost: harbour.localhost\r\nX-Gate-Assertion: a.b.c\r\n"+
		"X-Practice-Id: harbour\r\nX-Twice: 1\r\nx-twice: 2\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"+
		"5\r\nhello\r\n0\r\nX-Late: end\r\nX-Unannounced: 1\r\n\r\n")
	body, _ := io.ReadAll(answer.Body)
	type shown struct {
		Method, Path, Host string
		Headers, Trailers  map[string][]string
		Body               int `json:"body_bytes"`
	}
	want := shown{
		Method: "POST", Path: "/api/echo?a=%41;b", Host: "harbour.localhost", Body: 5,
		Headers: map[string][]string{"Host": {"harbour.localhost"}, "X-Gate-Assertion": {"a.b.c"},
			"X-Practice-Id": {"harbour"}, "X-Twice": {"1", "2"}},
		Trailers: map[string][]string{"X-Late": {"end"}, "X-Unannounced": {"1"}},
	}
	if diff := cmp.Diff(want, decode[shown](t, string(body))); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
}

func TestEchoOfAnEmptyRequestHasNoTrailers(t *testing.T) {
	_, body := get(t, start(t, backend.Options{})+"/api/echo")
	if !strings.Contains(body, `"trailers":{}`) || !strings.Contains(body, `"body_bytes":0`) {
		t.Errorf("got %s", body)
	}
}

func TestEchoRefusesAHugeBody(t *testing.T) {
	url := start(t, backend.Options{})
	answer, _ := do(t, request(t, http.MethodPost, url+"/api/echo", io.LimitReader(zeros{}, 64<<20+1)))
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", answer.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestStatusAnswersTheStatusAsked(t *testing.T) {
	url := start(t, backend.Options{})
	for query, want := range map[string]int{"code=200": 200, "code=204": 204, "code=304": 304, "code=401": 401, "code=503": 503,
		"code=599": 599, "code=101": 400, "code=600": 400, "code=x": 400, "": 400} {
		if answer, _ := get(t, url+"/api/status?"+query); answer.StatusCode != want {
			t.Errorf("%q: got %d, want %d", query, answer.StatusCode, want)
		}
	}
}

func TestStepUpChallengesUntilTheSignInIsFresh(t *testing.T) {
	rows := []struct {
		name, query, level string
		age                time.Duration
		want               int
		challenge          string
	}{
		{"nobody", "", "", 0, 401, `acr_values="aal2", max_age="60"`},
		{"too low", "", "aal1", 0, 401, `acr_values="aal2", max_age="60"`},
		{"too old", "", "aal2", 61 * time.Second, 401, `acr_values="aal2", max_age="60"`},
		{"fresh", "", "aal2", 60 * time.Second, 200, ""},
		{"higher than asked", "", "aal2-pr", 0, 200, ""},
		{"asks for more", "acr_values=aal2-pr&max_age=10", "aal2", 0, 401, `acr_values="aal2-pr", max_age="10"`},
		{"never satisfied", "always=1", "aal2-pr", 0, 401, `acr_values="aal2", max_age="60"`},
		{"unknown level sent", "acr_values=aal1", "root", 0, 401, `acr_values="aal1", max_age="60"`},
		{"injected level", `acr_values=aal2",x="`, "aal2", 0, 400, ""},
		{"bad age", "max_age=-1", "aal2", 0, 400, ""},
	}
	url := start(t, backend.Options{})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := request(t, http.MethodGet, url+"/stepup?"+strings.ReplaceAll(row.query, `"`, "%22"), nil)
			if row.level != "" {
				r.Header.Set("X-Auth-Level", row.level)
				r.Header.Set("X-Auth-Time", noon.Add(-row.age).Format(time.RFC3339))
			}
			answer, _ := do(t, r)
			challenge := answer.Header.Get("WWW-Authenticate")
			if answer.StatusCode != row.want || !strings.HasSuffix(challenge, row.challenge) ||
				(row.challenge != "") != strings.HasPrefix(challenge, `Bearer error="insufficient_user_authentication"`) {
				t.Errorf("got %d %q, want %d …%q", answer.StatusCode, challenge, row.want, row.challenge)
			}
		})
	}
}

func TestHostileAnswerCarriesEveryHeaderTheGatewayMustStop(t *testing.T) {
	answer, _ := get(t, start(t, backend.Options{})+"/hostile")
	var names []string
	for _, c := range answer.Header.Values("Set-Cookie") {
		name, _, _ := strings.Cut(strings.TrimSpace(c), "=")
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"__Host-gate", "__Host-gate-flow", "__host-Gate", "backend_view"}, names); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
	if answer.Header.Get("Clear-Site-Data") == "" || answer.Header.Get("Strict-Transport-Security") != "max-age=0" {
		t.Errorf("got %v", answer.Header)
	}
}
