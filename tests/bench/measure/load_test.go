package measure_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/bench/measure"

	"github.com/google/go-cmp/cmp"
)

const wrkText = `Running 1s test @ https://localhost:8443/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.11ms    1.02ms  12.51ms   71.42%
    Req/Sec     7.70k   420.11     8.40k    70.00%
  Latency Distribution
     50%    1.98ms
     75%    2.61ms
     90%    3.40ms
     99%  800.50us
  7712 requests in 1.10s, 10.20MB read
Requests/sec:   7001.93
Transfer/sec:      9.26MB
`

const h2loadText = `starting benchmark...
spawning thread #0: 4 total client(s). Timing-based test with 0s of warm-up time and 1s of main duration for measurements.
finished in 1.01s, 5012.00 req/s, 5.31MB/s
requests: 5012 total, 5028 started, 5012 done, 5012 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 5015 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 5.31MB (5567890) total, 60.11KB (61550) headers (space savings 92.10%), 4.90MB (5135360) data
`

func TestLoadGeneratorsOutputIsRead(t *testing.T) {
	r, n, err := measure.ParseWrk(wrkText)
	want := measure.Result{Requests: 7712, Elapsed: 1100 * time.Millisecond, P50: 1980 * time.Microsecond, P99: 800500 * time.Nanosecond}
	if diff := cmp.Diff(want, r); diff != "" || n != 10695475 || err != nil {
		t.Errorf("wrk: bytes %d, error %v, (-want +got):\n%s", n, err, diff)
	}
	r, n, err = measure.ParseH2load(h2loadText)
	want = measure.Result{Requests: 5012, Elapsed: 1010 * time.Millisecond}
	if diff := cmp.Diff(want, r); diff != "" || n != 5567890 || err != nil {
		t.Errorf("h2load: bytes %d, error %v, (-want +got):\n%s", n, err, diff)
	}
}

func TestFiguresOfAServerThatRefusesAreNotUsed(t *testing.T) {
	rows := []struct {
		name  string
		parse func(string) (measure.Result, int64, error)
		text  string
	}{
		{"wrk statuses", measure.ParseWrk, wrkText + "  Non-2xx or 3xx responses: 5\n"},
		{"wrk sockets", measure.ParseWrk, wrkText + "  Socket errors: connect 0, read 4, write 0, timeout 0\n"},
		{"wrk nothing", measure.ParseWrk, strings.Replace(wrkText, "7712 requests", "0 requests", 1)},
		{"wrk empty", measure.ParseWrk, ""},
		{"h2load redirects", measure.ParseH2load, strings.Replace(h2loadText, "0 3xx", "1 3xx", 1)},
		{"h2load refusals", measure.ParseH2load, strings.Replace(h2loadText, "0 4xx", "1 4xx", 1)},
		{"h2load errors", measure.ParseH2load, strings.Replace(h2loadText, "0 5xx", "1 5xx", 1)},
		{"h2load failed", measure.ParseH2load, strings.Replace(h2loadText, "0 failed", "2 failed", 1)},
		{"h2load empty", measure.ParseH2load, ""},
	}
	for _, row := range rows {
		if r, _, err := row.parse(row.text); err == nil {
			t.Errorf("%s: got %+v and no error", row.name, r)
		}
	}
}

func TestAnswerShorterThanTheBackendsIsRefused(t *testing.T) {
	if len(measure.Missing("wrk")) > 0 {
		t.Log("wrk is not installed: only the message can be checked")
		_, err := measure.Load{Protocol: measure.HTTP1, URL: "http://127.0.0.1:1/", Connections: 1}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "wrk") {
			t.Errorf("got %v, want an error that names wrk", err)
		}
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer server.Close()
	load := measure.Load{Protocol: measure.HTTP1, URL: server.URL, Connections: 1, Duration: time.Second, MinBytes: 1024}
	if _, err := load.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "not the answer") {
		t.Errorf("got %v", err)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (measure.Load{Protocol: measure.HTTP1, URL: "http://127.0.0.1:1/", Connections: 1}).Run(ctx); err == nil {
		t.Error("got no error")
	}
}

func TestMissingNamesTheDebianPackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if diff := cmp.Diff([]string{"wrk", "nghttp2-client"}, measure.Missing("wrk", "h2load")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzLoadGeneratorsOutput(f *testing.F) {
	f.Add(wrkText)
	f.Add(h2loadText)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (measure.Result, int64, error){measure.ParseWrk, measure.ParseH2load} {
			if r, _, err := parse(text); err == nil && r.Requests <= 0 {
				t.Errorf("accepted with %d requests", r.Requests)
			}
		}
	})
}
