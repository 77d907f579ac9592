package hashing_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"clinicgate/gateway/hashing"
)

// sequence starts one fake after the other; the last one again and again.
func sequence(fakes ...hashing.Fake) func() (hashing.Fake, error) {
	next := 0
	return func() (hashing.Fake, error) {
		fake := fakes[min(next, len(fakes)-1)]
		next++
		return fake, nil
	}
}

const never = time.Hour

// liar answers each request with what it makes of it.
func liar(lie func(asked, before []byte) []byte) hashing.Fake {
	return func(in io.Reader, out io.Writer) error {
		var before []byte
		for {
			asked := make([]byte, len(hashing.Frame(hashing.Job{})))
			if _, err := io.ReadFull(in, asked); err != nil {
				return err
			}
			if _, err := out.Write(lie(asked, before)); err != nil {
				return err
			}
			before = asked
		}
	}
}

// A wrong tag would be a wrong decision about who signs in. Whatever stands in the pipe
// that is no answer to this very request, the worker is ended and the hash computed
// by another one.
func TestOnlyTheAnswerToThisRequestIsTaken(t *testing.T) {
	planted := hashing.Tag{0xba, 0xd}
	for name, lie := range map[string]func(asked, before []byte) []byte{
		"to nobody":       func(asked, _ []byte) []byte { return hashing.Reply(make([]byte, 16), planted) },
		"bits turned":     func(asked, _ []byte) []byte { asked[15] ^= 1; return hashing.Reply(asked, planted) },
		"a byte too much": func(asked, _ []byte) []byte { return append([]byte{0}, hashing.Reply(asked, planted)...) },
		"a byte less":     func(asked, _ []byte) []byte { return append(hashing.Reply(asked, planted)[1:], 0) },
		"the request":     func(asked, _ []byte) []byte { asked[0]++; return asked },
		"zeroes":          func(asked, _ []byte) []byte { return make([]byte, 200) },
	} {
		t.Run(name, func(t *testing.T) {
			p := hashing.NewFake(never, sequence(liar(lie), hashing.Honest))
			defer p.Close()
			right(t, p, job(1))
			if p.Failures() != 1 {
				t.Errorf("%d failures, want the first worker's alone", p.Failures())
			}
		})
	}
}

// The answer to an earlier request, which comes late, is nobody's.
func TestLateAnswerIsNotTheNextOnes(t *testing.T) {
	planted := hashing.Tag{0xba, 0xd}
	late := func(asked, before []byte) []byte {
		if before == nil {
			return hashing.Reply(asked, planted) // this one is as it should be
		}
		return hashing.Reply(before, planted)
	}
	p := hashing.NewFake(never, sequence(liar(late), hashing.Honest))
	defer p.Close()
	if got, err := hash(t.Context(), p, job(1)); err != nil || got != planted {
		t.Fatalf("the first request: %x, %v; the fake does not work", got, err)
	}
	right(t, p, job(2))
}

// A worker that hangs is not waited for, and not asked again.
func TestHungWorkerIsReplaced(t *testing.T) {
	asked := make(chan struct{}, 10)
	hangs := func(in io.Reader, _ io.Writer) error {
		if _, err := io.CopyN(io.Discard, in, 1); err != nil {
			return err
		}
		asked <- struct{}{}
		_, err := io.Copy(io.Discard, in)
		return err
	}
	starts := 0
	p := hashing.NewFake(time.Millisecond, func() (hashing.Fake, error) { starts++; return hangs, nil })
	defer p.Close()
	_, err := hash(t.Context(), p, job(1))
	if !errors.Is(err, hashing.ErrUnavailable) || !strings.Contains(err.Error(), hashing.ErrHung.Error()) {
		t.Errorf("got %v, want %v: %v", err, hashing.ErrUnavailable, hashing.ErrHung)
	}
	if starts != 2 || len(asked) != 2 {
		t.Errorf("%d workers were started and %d asked, want two of each", starts, len(asked))
	}
}

// A worker computes nothing that nobody may ask for, and says nothing about it.
func TestJobOutOfBoundsEndsTheWorker(t *testing.T) {
	for name, cost := range map[string]hashing.Params{
		"nothing":          {},
		"1 TiB":            {MemoryKiB: 1 << 30, Passes: 1, Lanes: 1},
		"more than there":  {MemoryKiB: 256*1024 + 1, Passes: 1, Lanes: 1},
		"a million passes": {MemoryKiB: 64, Passes: 1e6, Lanes: 1},
		"no pass":          {MemoryKiB: 64, Passes: 0, Lanes: 1},
		"no lane":          {MemoryKiB: 64, Passes: 1, Lanes: 0},
		"lanes":            {MemoryKiB: 64 * 1024, Passes: 1, Lanes: 255},
		"too little":       {MemoryKiB: 31, Passes: 1, Lanes: 4},
	} {
		t.Run(name, func(t *testing.T) {
			j := job(1)
			j.Params = cost
			var out bytes.Buffer
			if err := hashing.Answer(bytes.NewReader(hashing.Frame(j)), &out); err == nil || out.Len() > 0 {
				t.Errorf("the worker says %v and answers %d bytes", err, out.Len())
			}
			p := hashing.NewFake(never, func() (hashing.Fake, error) { return nil, errors.New("a worker is started") })
			defer p.Close()
			if _, err := hash(t.Context(), p, j); err == nil || errors.Is(err, hashing.ErrUnavailable) || p.Failures() > 0 {
				t.Errorf("the gateway says %v", err)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(hashing.Frame(job(1)))
	f.Add(hashing.Frame(hashing.Job{}))
	f.Add(hashing.Frame(job(1))[:40])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		asked, err := hashing.ReadRequest(in)
		switch size := len(hashing.Frame(hashing.Job{})); {
		case err == io.EOF && len(data) > 0, err == nil && len(data) < size:
			t.Errorf("%d bytes are read as %+v, %v", len(data), asked, err)
		case err == nil && (!asked.Job.Params.Valid() || in.Len() != len(data)-size):
			t.Errorf("%+v is accepted, %d bytes are left of %d", asked.Job.Params, in.Len(), len(data))
		}
	})
}
