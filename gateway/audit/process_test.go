package audit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/database"
)

// The test binary runs itself as another process: AUDIT_CHILD says what it does there,
// AUDIT_DIR with which state folder.
func child() bool {
	what := os.Getenv("AUDIT_CHILD")
	if what == "" {
		return false
	}
	if what == "full" {
		signal.Ignore(syscall.SIGXFSZ)
	}
	set, err := database.Open(context.Background(), database.Options{Dir: os.Getenv("AUDIT_DIR")})
	if err != nil {
		fmt.Println("open:", err)
		return true
	}
	log := audit.New(audit.Options{DB: set, Vault: keyring("master")})
	switch what {
	case "forever":
		childForever(log)
	case "hundred":
		childHundred(log)
	case "full":
		childFull(log)
	}
	if err := errors.Join(log.Close(context.Background()), set.Close()); err != nil && what != "full" {
		fmt.Println("close:", err)
	}
	return true
}

// childForever appends from many goroutines and says each event that was acknowledged.
func childForever(log *audit.Log) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := 0; ; i++ {
				e := event("acknowledged")
				e.Request = fmt.Sprintf("%d-%d", g, i)
				if log.Append(context.Background(), harbour, e) != nil {
					return
				}
				mu.Lock()
				fmt.Println(e.Request)
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func childHundred(log *audit.Log) {
	fmt.Println("ready")
	for range 100 {
		if err := log.Append(context.Background(), harbour, event("child")); err != nil {
			fmt.Println("append:", err)
			return
		}
	}
	fmt.Println("done")
}

// childFull fills its file size limit and says what Append answered.
func childFull(log *audit.Log) {
	limit := syscall.Rlimit{Cur: 512 << 10, Max: 512 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("setrlimit:", err)
		return
	}
	big := event("acknowledged")
	big.Detail = map[string]string{"a": strings.Repeat("x", 250), "b": strings.Repeat("y", 250), "c": strings.Repeat("z", 250)}
	for i := range 5000 {
		big.Request = fmt.Sprint(i)
		err := log.Append(context.Background(), harbour, big)
		if err != nil {
			fmt.Println("refused", errors.Is(err, database.ErrUnavailable))
			return
		}
		fmt.Println(big.Request)
	}
}

// start runs the test binary as a child on b's folder and returns its lines.
func (b *bench) start(what string) (*exec.Cmd, *bufio.Scanner) {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(b.t.Context(), self)
	cmd.Env = append(os.Environ(), "AUDIT_CHILD="+what, "AUDIT_DIR="+b.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// wantRecorded checks that every acknowledged request is in the log.
func (b *bench) wantRecorded(acknowledged []string) {
	b.t.Helper()
	recorded := make(map[string]bool)
	err := b.log.Export(b.t.Context(), harbour, audit.JSONL, audit.Range{}, requestsOf(recorded))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, request := range acknowledged {
		if !recorded[request] {
			b.t.Errorf("event %s was acknowledged and is not in the log", request)
		}
	}
}

func TestKillDuringAppendsLosesNoAcknowledgedEvent(t *testing.T) {
	for round := range 3 {
		b := newBench(t)
		b.close()
		cmd, lines := b.start("forever")
		var acknowledged []string
		for len(acknowledged) < 200+70*round && lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
		}
		_ = cmd.Process.Kill()
		for lines.Scan() { // what it said before it died
			acknowledged = append(acknowledged, lines.Text())
		}
		_ = cmd.Wait()
		b.open()
		if r := b.verify(); !r.Intact || r.Rows < int64(len(acknowledged)) {
			t.Fatalf("%d acknowledged; %s", len(acknowledged), r)
		}
		b.wantRecorded(acknowledged)
		b.add(1)
		if r := b.verify(); !r.Intact {
			t.Fatal(r)
		}
	}
}

func TestTwoProcessesMakeOneChain(t *testing.T) {
	b := newBench(t)
	cmd, lines := b.start("hundred")
	lines.Scan()
	b.add(100)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
	}
	if err := cmd.Wait(); err != nil || strings.Join(said, " ") != "done" {
		t.Fatalf("the child said %q, %v", said, err)
	}
	if n := b.counts()["child"]; n != 100 {
		t.Errorf("%d records of the child, want 100", n)
	}
	b.wantIntact(200)
}

func TestFullDiskIsUnavailableAndLeavesNothingHalfWritten(t *testing.T) {
	b := newBench(t)
	b.close()
	cmd, lines := b.start("full")
	var acknowledged []string
	refused := ""
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "refused") {
			refused = line
		} else {
			acknowledged = append(acknowledged, line)
		}
	}
	_ = cmd.Wait()
	if refused != "refused true" || len(acknowledged) == 0 {
		t.Fatalf("after %d events: %q, want an error that matches ErrUnavailable", len(acknowledged), refused)
	}
	b.open()
	b.wantRecorded(acknowledged)
	rows := b.verify().Rows
	b.wantIntact(rows)
	b.add(5)
	b.wantIntact(rows + 5)
}
