package backend

import (
	"net/http"
	"strings"
	"sync"
)

// maxPaths bounds the distinct paths that are remembered, maxPathBytes the length of each.
const (
	maxPaths     = 10_000
	maxPathBytes = 512
)

// hits counts requests by raw path. Its error is on the safe side: what no longer fits is counted for every
// prefix, so "nothing arrived" is never said wrongly.
type hits struct {
	mu     sync.Mutex
	total  int64
	byPath map[string]int64
	others int64
}

func (h *hits) count(path string) {
	if len(path) > maxPathBytes {
		path = path[:maxPathBytes]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total++
	if h.byPath == nil {
		h.byPath = make(map[string]int64)
	}
	if _, known := h.byPath[path]; !known && len(h.byPath) >= maxPaths {
		h.others++
		return
	}
	h.byPath[path]++
}

// below counts the requests whose raw path begins with prefix; "" is all of them.
func (h *hits) below(prefix string) int64 {
	if len(prefix) > maxPathBytes {
		prefix = prefix[:maxPathBytes]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if prefix == "" {
		return h.total
	}
	n := h.others
	for path, count := range h.byPath {
		if strings.HasPrefix(path, prefix) {
			n += count
		}
	}
	return n
}

// serveHits answers {"hits":N} for everything that reached the backend but this path and bare health probes.
func (s *server) serveHits(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, http.StatusOK, map[string]int64{"hits": s.hits.below(r.URL.Query().Get("prefix"))})
}
