package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Heap is what the Go runtime says of the gateway's heap, in bytes.
type Heap struct {
	Now       int64 // live, and garbage that was not collected yet
	Allocated int64 // since the start
	Next      int64 // what Now may grow to before the garbage collector runs
}

var heapLine = regexp.MustCompile(`(?m)^# (HeapAlloc|TotalAlloc|NextGC) = (\d+)$`)

// Heap asks for the heap, after a garbage collection if collect is set: Now is then what is live.
func (s *Stage) Heap(ctx context.Context, gate *Process, collect bool) (Heap, error) {
	path := "/debug/pprof/heap?debug=1"
	if collect {
		path += "&gc=1"
	}
	text, err := s.admin(ctx, gate, path)
	if err != nil {
		return Heap{}, fmt.Errorf("asking for the heap: %w", err)
	}
	found := make(map[string]int64)
	for _, m := range heapLine.FindAllSubmatch(text, -1) {
		found[string(m[1])], _ = strconv.ParseInt(string(m[2]), 10, 64)
	}
	if len(found) != 3 {
		return Heap{}, errors.New("asking for the heap: lines are missing")
	}
	return Heap{found["HeapAlloc"], found["TotalAlloc"], found["NextGC"]}, nil
}

// Profile writes a CPU profile of the gateway over the next d into a file, for go tool pprof.
func (s *Stage) Profile(ctx context.Context, gate *Process, d time.Duration, file string) error {
	text, err := s.admin(ctx, gate, "/debug/pprof/profile?seconds="+strconv.Itoa(int(d.Seconds())))
	if err != nil {
		return fmt.Errorf("taking a profile: %w", err)
	}
	return os.WriteFile(file, text, 0o600)
}

// admin asks Caddy's admin interface, which listens on a socket in the stage's folder.
func (s *Stage) admin(ctx context.Context, gate *Process, path string) ([]byte, error) {
	socket := filepath.Join(s.Dir, gate.Name+".sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 32<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", answer.StatusCode, text)
	}
	return text, err
}
