package measure

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Protocol is the HTTP version a load speaks, always over TLS with keep-alive.
type Protocol string

// The two that are measured: HTTP/1.1 by wrk, HTTP/2 by h2load.
const (
	HTTP1 Protocol = "h1"
	HTTP2 Protocol = "h2"
)

// Load is one burst of equal GET requests.
type Load struct {
	Protocol    Protocol
	URL         string
	Header      []string // lines such as "Cookie: a=b"
	Connections int
	Streams     int           // HTTP/2 only: parallel streams a connection
	Duration    time.Duration // whole seconds
	Script      string        // HTTP/1.1 only: a Lua file for wrk
	MinBytes    int64         // an answer with fewer bytes on the wire is not the one expected
}

// Result of a burst. Every request was answered with 2xx.
type Result struct {
	Requests int64
	Elapsed  time.Duration
	P50, P99 time.Duration // HTTP/1.1 only
}

// Packages names the Debian package of each program that loads or serves.
var Packages = map[string]string{"wrk": "wrk", "h2load": "nghttp2-client", "nginx": "nginx-light", "apache2": "apache2"}

// Missing names the Debian packages of the programs that are not installed.
func Missing(programs ...string) []string {
	var list []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			list = append(list, Packages[p])
		}
	}
	return list
}

// Run sends the load. Errors: the program is missing or failed, or any answer was not the expected one: figures of
// a server that refuses would be worthless.
func (l Load) Run(ctx context.Context) (Result, error) {
	program, args := l.command()
	output, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("running %s: %w: %.300s", program, err, output)
	}
	return l.read(string(output))
}

// command is the load generator and its arguments.
func (l Load) command() (program string, args []string) {
	program = "wrk"
	args = []string{"-t1", "-c" + strconv.Itoa(l.Connections), "-d" + seconds(l.Duration) + "s", "--timeout", "60s", "--latency"}
	if l.Protocol == HTTP2 {
		program = "h2load"
		args = []string{"-t1", "-c" + strconv.Itoa(l.Connections), "-m" + strconv.Itoa(l.Streams), "-D" + seconds(l.Duration)}
	}
	for _, line := range l.Header {
		args = append(args, "-H", line)
	}
	if l.Script != "" {
		args = append(args, "-s", l.Script)
	}
	return program, append(args, l.URL)
}

// read takes the figures out of what the load generator printed.
func (l Load) read(output string) (Result, error) {
	parse := parseWrk
	if l.Protocol == HTTP2 {
		parse = parseH2load
	}
	result, bytes, err := parse(output)
	if err != nil {
		return Result{}, fmt.Errorf("reading the load generator's output: %w:\n%.1000s", err, output)
	}
	if bytes < l.MinBytes*result.Requests*9/10 { // the load generators round to three figures
		return Result{}, fmt.Errorf("%d bytes in %d answers: not the answer that was expected", bytes, result.Requests)
	}
	return result, nil
}

func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Second)/time.Second)))
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in ([\d.]+[a-z]+), ([\d.]+)([KMGT]?)B read`)
	wrkQuantile = regexp.MustCompile(`(?m)^\s*(50|99)%\s+([\d.]+[a-z]+)`)

	h2Requests = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed`)
	h2Statuses = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2Finished = regexp.MustCompile(`(?m)^finished in ([\d.]+[a-z]+),`)
	h2Traffic  = regexp.MustCompile(`(?m)^traffic: .*\((\d+)\) total`)
)

var errIncomplete = errors.New("no request count in it")

// parseWrk reads the requests, the bytes and the latencies.
func parseWrk(text string) (Result, int64, error) {
	for _, bad := range []string{"Non-2xx", "Socket errors"} { // both lines are only there when they count something
		if i := strings.Index(text, bad); i >= 0 {
			line, _, _ := strings.Cut(text[i:], "\n")
			return Result{}, 0, errors.New(line)
		}
	}
	m := wrkRequests.FindStringSubmatch(text)
	if m == nil {
		return Result{}, 0, errIncomplete
	}
	var r Result
	r.Requests, _ = strconv.ParseInt(m[1], 10, 64)
	r.Elapsed, _ = time.ParseDuration(m[2])
	size, _ := strconv.ParseFloat(m[3], 64)
	unit := float64(int64(1) << (10 * strings.Index("BKMGT", m[4]))) // "" is found at 0
	for _, q := range wrkQuantile.FindAllStringSubmatch(text, -1) {
		latency, _ := time.ParseDuration(q[2])
		if q[1] == "50" {
			r.P50 = latency
		} else {
			r.P99 = latency
		}
	}
	if r.Requests == 0 {
		return Result{}, 0, errors.New("no request was answered")
	}
	return r, int64(size * unit), nil
}

// parseH2load reads the requests and the bytes.
func parseH2load(text string) (Result, int64, error) {
	count, status := h2Requests.FindStringSubmatch(text), h2Statuses.FindStringSubmatch(text)
	traffic, finished := h2Traffic.FindStringSubmatch(text), h2Finished.FindStringSubmatch(text)
	if count == nil || status == nil || traffic == nil || finished == nil {
		return Result{}, 0, errIncomplete
	}
	var r Result
	r.Requests, _ = strconv.ParseInt(count[1], 10, 64)
	r.Elapsed, _ = time.ParseDuration(finished[1])
	bytes, _ := strconv.ParseInt(traffic[1], 10, 64)
	// A request that is under way when the time is over may get its status without being done: 2xx can be more.
	if r.Requests == 0 || count[3] != "0" || status[2] != "0" || status[3] != "0" || status[4] != "0" {
		return Result{}, 0, fmt.Errorf("%s; %s", count[0], status[0])
	}
	return r, bytes, nil
}
