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

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// LiveHeap is what the gateway's heap holds after a garbage collection, in bytes.
func (s *Stage) LiveHeap(ctx context.Context, gate *Process) (int64, error) {
	text, err := s.admin(ctx, gate, "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, fmt.Errorf("asking for the heap: %w", err)
	}
	m := heapAlloc.FindSubmatch(text)
	if m == nil {
		return 0, errors.New("asking for the heap: no HeapAlloc line")
	}
	return strconv.ParseInt(string(m[1]), 10, 64)
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
