package hashing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/argon2"

	"clinicgate/gateway/hashing"
)

func TestMain(m *testing.M) {
	hashing.Main()
	goleak.VerifyTestMain(m)
}

// job is a cheap one.
func job(input byte) hashing.Job {
	return hashing.Job{Params: hashing.Params{MemoryKiB: 64, Passes: 1, Lanes: 1}, Salt: [hashing.SaltSize]byte{7}, Input: [hashing.InputSize]byte{input}}
}

func want(j hashing.Job) hashing.Tag {
	return hashing.Tag(argon2.IDKey(j.Input[:], j.Salt[:], j.Params.Passes, j.Params.MemoryKiB, j.Params.Lanes, hashing.TagSize))
}

// hash computes one job in a turn of its own.
func hash(ctx context.Context, p *hashing.Pool, j hashing.Job) (tag hashing.Tag, err error) {
	err = p.Do(ctx, func(turn *hashing.Turn) (err error) {
		tag, err = turn.Hash(j)
		return err
	})
	return tag, err
}

// right checks that a pool hashes.
func right(t *testing.T, p *hashing.Pool, j hashing.Job) {
	t.Helper()
	got, err := hash(t.Context(), p, j)
	if err != nil {
		t.Fatal(err)
	}
	if got != want(j) {
		t.Fatalf("got %x, want %x", got, want(j))
	}
}

// workers is a pool of real worker processes: this test's own binary, see TestMain.
func workers(t *testing.T) (*hashing.Pool, *bytes.Buffer) {
	t.Helper()
	told := new(bytes.Buffer)
	log := slog.New(slog.NewTextHandler(told, nil))
	p := hashing.New(func() *slog.Logger { return log })
	t.Cleanup(p.Close)
	p.Warm()
	return p, told
}

func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to pass")
		}
	}
}

func TestHashesAreThoseOfArgon2id(t *testing.T) {
	processes, told := workers(t)
	for name, p := range map[string]*hashing.Pool{"worker": processes, "this process": hashing.NewLocal(1, 1)} {
		t.Run(name, func(t *testing.T) {
			for _, cost := range []hashing.Params{{MemoryKiB: 64, Passes: 1, Lanes: 1}, {MemoryKiB: 128, Passes: 3, Lanes: 4}} {
				for input := range byte(10) {
					j := job(input)
					j.Params = cost
					right(t, p, j)
				}
			}
		})
	}
	if processes.Failures() != 0 || told.Len() > 0 {
		t.Errorf("%d failures, log %s", processes.Failures(), told)
	}
}

// A worker that is killed is replaced, and whoever waits gets the hash.
func TestKilledWorkerIsReplaced(t *testing.T) {
	p, told := workers(t)
	for input := range byte(3) {
		right(t, p, job(input))
		p.Kill()
	}
	right(t, p, job(9))
	if p.Failures() == 0 || !strings.Contains(told.String(), "a password worker failed") {
		t.Errorf("%d failures are counted, the log says %s", p.Failures(), told)
	}
}

func TestCloseEndsTheWorkersAndRefusesWhoComesLater(t *testing.T) {
	p, _ := workers(t)
	begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- p.Do(context.Background(), func(turn *hashing.Turn) error {
			close(begun)
			<-finish
			_, err := turn.Hash(job(1))
			return err
		})
	}()
	<-begun
	closed := make(chan struct{})
	go func() { p.Close(); close(closed) }()
	waitFor(t, func() bool {
		return errors.Is(p.Do(t.Context(), func(*hashing.Turn) error { return nil }), hashing.ErrUnavailable)
	})
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("a hash that had begun: %v", err)
	}
	<-closed
	p.Close() // again
}

// Started any other way it would do whatever else this program does.
func TestProgramThatHasNotCalledMainStartsNoWorkers(t *testing.T) {
	defer hashing.ForgetMain()()
	p := hashing.New(slog.Default)
	p.Warm()
	right(t, p, job(1)) // and needs no Close: TestMain would find a worker
}

func TestPersonWhoTypesTheArgumentGetsASentence(t *testing.T) {
	command := exec.Command(os.Args[0], hashing.Argument)
	out, err := command.CombinedOutput()
	if command.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "nothing to do with it by hand") {
		t.Errorf("exit %v: %s", err, out)
	}
}
