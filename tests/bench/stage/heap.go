package stage

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
)

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// LiveHeap is what the gateway's heap holds after a garbage collection, in bytes. Caddy's admin interface has it.
func (s *Stage) LiveHeap(ctx context.Context, gate *Process) (int64, error) {
	socket := filepath.Join(s.Dir, gate.Name+".sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/debug/pprof/heap?gc=1&debug=1", nil)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("asking for the heap: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 32<<20))
	if err != nil {
		return 0, fmt.Errorf("asking for the heap: %w", err)
	}
	m := heapAlloc.FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("asking for the heap: status %d without a HeapAlloc line", answer.StatusCode)
	}
	return strconv.ParseInt(string(m[1]), 10, 64)
}
