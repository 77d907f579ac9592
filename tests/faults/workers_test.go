package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

const workerFailures = "clinicgate_password_worker_failures_total"

// A worker dies in the middle of a password. Whoever typed it does not notice.
func TestWorkerDiesDuringASignIn(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	workers := probe.Workers(t, g)
	if len(workers) == 0 {
		t.Fatal("there are no workers")
	}
	answer := begin(t, g, p, workers)
	probe.Signal(workers, unix.SIGKILL)
	if res := <-answer; res == nil || sessionOf(res) == "" {
		t.Errorf("the sign-in was answered %v", res)
	}
	if n := probe.Metric(t, g, workerFailures); n != 1 || !strings.Contains(g.Log(), `"msg":"a password worker failed"`) {
		t.Errorf("the metric counts %v failures, want 1, and a line in the log", n)
	}
}

// begin freezes the workers, sends a sign-in with the right password, and returns when a
// worker has been asked. The answer is nil when there is none.
func begin(t *testing.T, g *harness.Gateway, p harness.Practice, workers []int) <-chan *http.Response {
	t.Helper()
	probe.Freeze(t, workers)
	client, answer := probe.Client(t, g, ""), make(chan *http.Response, 1)
	go func() {
		res, err := signIn(t, client, p, p.Account("clinician"))
		if err != nil {
			t.Error(err)
		}
		answer <- res
	}()
	probe.Eventually(t, 20*time.Second, "a worker is asked", func() bool { return probe.Asked(t, workers) })
	return answer
}

// Workers die all the time: with the right password everybody gets in or is told that it
// cannot be decided, is never told that it is wrong, and none of it counts against them.
// When it is over everybody gets in at once.
func TestWorkersDieAllTheTime(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	const people, mostFailures = 3, 7 // five wrong passwords would lock an account
	staff := make([]harness.Account, people)
	for i := range staff {
		staff[i] = probe.Add(t, g, "acacia", fmt.Sprintf("staff-%d", i), "clinician", false)
	}
	var over atomic.Bool
	var killing, signing sync.WaitGroup
	killing.Go(func() {
		for !over.Load() {
			probe.Signal(probe.Workers(t, g), unix.SIGKILL)
		}
	})
	var undecided atomic.Int64
	for i, who := range staff {
		client := probe.Client(t, g, fmt.Sprintf("127.0.9.%d", 1+i))
		signing.Go(func() {
			for failures, end := 0, time.Now().Add(20*time.Second); failures < mostFailures && time.Now().Before(end); {
				res, err := signIn(t, client, p, who)
				switch {
				case err != nil:
					t.Error(err)
					return
				case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "":
					failures++
					undecided.Add(1)
				case res.StatusCode != http.StatusSeeOther || sessionOf(res) == "":
					t.Errorf("the right password of %s is answered %s", who.Email, res.Status)
				}
			}
		})
	}
	signing.Wait()
	over.Store(true)
	killing.Wait()
	t.Logf("%d sign-ins could not be decided, %v workers died", undecided.Load(), probe.Metric(t, g, workerFailures))
	if undecided.Load() == 0 {
		t.Error("no worker died in time")
	}
	alarmed(t, g)
	client := probe.Client(t, g, "")
	probe.Eventually(t, 20*time.Second, "the workers are back", func() bool {
		res, err := signIn(t, client, p, p.Account("clinician"))
		return err == nil && sessionOf(res) != ""
	})
	for _, who := range staff {
		if res, err := signIn(t, client, p, who); err != nil || sessionOf(res) == "" {
			t.Errorf("%s afterwards: %v %v", who.Email, res, err)
		}
	}
}

// kill -9 of the gateway leaves nothing behind that still hashes.
func TestKilledGatewayLeavesNoWorker(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	workers := probe.Workers(t, g)
	if len(workers) == 0 {
		t.Fatal("there are no workers")
	}
	g.Kill()
	probe.Eventually(t, 20*time.Second, "the workers are gone", func() bool {
		return !slices.ContainsFunc(workers, func(pid int) bool {
			words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			return strings.HasSuffix(string(words), "\x00password-worker\x00")
		})
	})
}

// Ctrl-C and systemd send the end to every process at once. A sign-in that has begun is
// still answered.
func TestSignInThatHasBegunOutlivesTheEnd(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	p := g.Practice("acacia")
	workers := probe.Workers(t, g)
	res, err := signIn(t, probe.Client(t, g, ""), p, p.Account("clinician")) // the workers have started
	if err != nil || sessionOf(res) == "" {
		t.Fatalf("%v %v", res, err)
	}
	answer := begin(t, g, p, workers)
	probe.Signal(append([]int{g.PID()}, workers...), unix.SIGTERM)
	probe.Signal(workers, unix.SIGCONT)
	if res := <-answer; res == nil || sessionOf(res) == "" {
		t.Errorf("the sign-in was answered %v", res)
	}
	g.Stop()
	if strings.Contains(g.Log(), "password worker failed") {
		t.Error("the workers went first")
	}
}

// Workers stay with the state that configs share: a reload stops and starts none.
func TestReloadKeepsTheWorkers(t *testing.T) {
	t.Parallel()
	g := harness.Start(t)
	before := probe.Workers(t, g)
	probe.Reload(t, g)
	probe.Reload(t, g)
	if after := probe.Workers(t, g); len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("workers %v before the reloads, %v after them", before, after)
	}
}
