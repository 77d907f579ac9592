package forward

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"clinicgate/gateway/core"
)

// Health asks backends whether they are well, so that a request need not find it out.
// Caddy's own active checks do not run for upstreams that depend on the request. Only
// practices with several backends are asked for: with one there is no choice.
type Health struct {
	// Path is what is asked for, without a decision and so without identity; 2xx is well.
	Path string `json:"path"`
	// Transport is how the backends are spoken to: that of the requests.
	Transport reverseproxy.HTTPTransport `json:"transport"`

	core *core.Core
	sick atomic.Pointer[map[string]bool] // addresses; nil: none
}

// A backend is left out after its second bad answer in a row, and asked for again after a
// good one. So many are asked at once.
const (
	healthPeriod  = 3 * time.Second
	healthTimeout = 2 * time.Second
	healthBad     = 2
	healthAtOnce  = 16
)

func (h *Health) provision(ctx caddy.Context, c *core.Core) error {
	if !strings.HasPrefix(h.Path, "/") {
		return fmt.Errorf("the path of the health check is %q: write one that begins with /", h.Path)
	}
	h.core = c
	if err := h.Transport.Provision(ctx); err != nil {
		return err
	}
	if c != nil { // nil when the config is only validated
		go h.run(ctx)
	}
	return nil
}

func (h *Health) run(ctx context.Context) {
	ticker := time.NewTicker(healthPeriod)
	defer ticker.Stop()
	bad := map[string]int{}
	for {
		bad = h.round(ctx, bad)
		sick := make(map[string]bool)
		for address, times := range bad {
			if times >= healthBad {
				sick[address] = true
			}
		}
		h.tell(sick)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tell makes known who is sick.
func (h *Health) tell(sick map[string]bool) {
	before := h.sick.Load()
	for address := range sick {
		if before == nil || !(*before)[address] {
			h.core.Log().Warn("a backend is not well: it is left out while another is", "backend", address)
		}
	}
	if before != nil {
		for address := range *before {
			if !sick[address] {
				h.core.Log().Warn("a backend is well again", "backend", address)
			}
		}
	}
	if len(sick) == 0 {
		h.sick.Store(nil)
		return
	}
	h.sick.Store(&sick)
}

// round asks every backend that has an alternative, and returns how many times in a row
// each has answered badly.
func (h *Health) round(ctx context.Context, before map[string]int) map[string]int {
	var mu sync.Mutex
	var asking sync.WaitGroup
	turns, bad := make(chan struct{}, healthAtOnce), map[string]int{}
	for address := range h.addresses() {
		turns <- struct{}{}
		asking.Go(func() {
			defer func() { <-turns }()
			if h.well(ctx, address) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			bad[address] = before[address] + 1
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return before
	}
	return bad
}

func (h *Health) addresses() map[string]bool {
	all := map[string]bool{}
	for _, p := range h.core.Directory.All() {
		if len(p.Upstreams) > 1 && !p.Suspended {
			for _, address := range p.Upstreams {
				all[address] = true
			}
		}
	}
	return all
}

func (h *Health) well(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+h.Path, nil)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", "clinicgate health check")
	h.Transport.SetScheme(req)
	res, err := h.Transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode/100 == 2
}

// choose leaves out the sick. If all are, nobody is left out: to ask is better than not
// to, and the check may be what is wrong.
func (h *Health) choose(addresses []string) []string {
	if h == nil {
		return addresses
	}
	sick := h.sick.Load()
	if sick == nil {
		return addresses
	}
	well := make([]string, 0, len(addresses))
	for _, address := range addresses {
		if !(*sick)[address] {
			well = append(well, address)
		}
	}
	if len(well) == 0 {
		return addresses
	}
	return well
}
