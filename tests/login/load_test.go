package login_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// Five hundred passwords at once may add maxGrowth to the gateway's memory, and a process
// that hashes for it has maxWorker, program included. Each hash takes 46 MiB; all at once
// they would take more than 22 GiB.
const (
	maxGrowth = 256 << 20
	maxWorker = 160 << 20
)

// L5: five hundred sign-ins at the same moment. Memory stays bounded, what is too much
// is told to come back, and who is signed in goes on working.
func TestFiveHundredSignInsAtOnce(t *testing.T) {
	g := harness.Start(t)
	p := g.Practice("acacia")
	signedIn := probe.SignedIn(t, g, "acacia", p.Account("clinician")).Cookie(p.URL, probe.Session)
	workers := probe.Workers(t, g)
	if len(workers) == 0 {
		t.Fatal("no process hashes passwords")
	}
	before := peak(t, g.PID())

	const crowd, addresses = 500, 10 // an address has a budget of its own
	var clients []*http.Client
	for i := range addresses {
		clients = append(clients, probe.Client(t, g, fmt.Sprintf("127.0.6.%d", 1+i)))
	}
	statuses := make(chan int, crowd)
	start := make(chan struct{})
	var wait sync.WaitGroup
	for i := range crowd {
		wait.Go(func() {
			<-start
			req := probe.Form(p, "/.gate/login", url.Values{"email": {fmt.Sprintf("crowd-%d@acacia.test", i)}, "password": {"not-the-password-1234"}})
			res, err := clients[i%addresses].Do(req)
			if err != nil {
				statuses <- 0
				return
			}
			res.Body.Close()
			if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
				statuses <- -1
				return
			}
			statuses <- res.StatusCode
		})
	}
	close(start)
	worst := work(t, g, p, signedIn, &wait)
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	grown := peak(t, g.PID()) - before
	t.Logf("answers %v; peak memory grew by %d MiB; slowest signed-in request %s", counts, grown>>20, worst.Round(time.Millisecond))
	if counts[http.StatusUnauthorized] == 0 || counts[http.StatusServiceUnavailable] == 0 ||
		counts[http.StatusUnauthorized]+counts[http.StatusServiceUnavailable] != crowd {
		t.Errorf("answers %v, want some decided (401), the rest told to come back (503)", counts)
	}
	if got := probe.Metric(t, g, `clinicgate_sign_ins_total{result="busy"}`); int(got) != counts[http.StatusServiceUnavailable] {
		t.Errorf("the metric counts %v answers of busy, want %d", got, counts[http.StatusServiceUnavailable])
	}
	if grown > maxGrowth {
		t.Errorf("peak memory grew by %d MiB, want at most %d", grown>>20, maxGrowth>>20)
	}
	if after := probe.Workers(t, g); !slices.Equal(workers, after) {
		t.Errorf("processes that hash: %v before, %v after", workers, after)
	}
	for _, pid := range workers {
		if most := peak(t, pid); most > maxWorker {
			t.Errorf("a process that hashes had %d MiB, want at most %d", most>>20, maxWorker>>20)
		}
	}
}

// work sends requests of somebody signed in until the crowd is answered, and returns
// how long the slowest took.
func work(t *testing.T, g *harness.Gateway, p harness.Practice, session string, crowd *sync.WaitGroup) (worst time.Duration) {
	t.Helper()
	done := make(chan struct{})
	go func() { crowd.Wait(); close(done) }()
	client := probe.Client(t, g, "")
	for {
		began := time.Now()
		res := probe.Send(t, client, probe.Page(p, "/api/echo", probe.Session+"="+session))
		worst = max(worst, time.Since(began))
		if res.StatusCode != http.StatusOK {
			t.Errorf("a signed-in request meanwhile: %s", res.Status)
		}
		select {
		case <-done:
			return worst
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// peak is the largest resident size that a process has had, in bytes.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		t.Fatalf("VmHWM: %v", err)
	}
	return kib << 10
}

// D2: a form that stops in the middle is told so after ten seconds and holds nothing,
// through the whole chain of the built gateway.
func TestSlowFormIsEnded(t *testing.T) {
	t.Parallel()
	p := gate.Practice("acacia")
	conn := gate.Dial(t, p.Host(), "http/1.1")
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "POST /.gate/login HTTP/1.1\r\nHost: %s\r\nAccept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail=",
		strings.TrimPrefix(p.URL, "https://"))
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); res.StatusCode != http.StatusRequestTimeout || !res.Close || err != nil {
		t.Errorf("%s, close %t, %v, want 408 and the end", res.Status, res.Close, err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v, want the end of the connection", err)
	}
}
