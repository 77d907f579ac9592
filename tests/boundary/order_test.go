package boundary_test

import (
	"slices"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// TestWrongOrderLeaksNothing: the transport refuses what carries no decision about
// exactly this request, whatever the order of handlers in the config and whatever
// stands between them (DESIGN section 2, THREATS facts 1 and 3).
func TestWrongOrderLeaksNothing(t *testing.T) {
	rewrite := map[string]any{"handler": "rewrite", "uri": "/billing/accounts"}
	method := map[string]any{"handler": "rewrite", "method": "POST"}
	prefix := map[string]any{"handler": "rewrite", "strip_path_prefix": "/booking"}
	query := map[string]any{"handler": "rewrite", "uri": "/booking/x?admin=1"}
	// Each order is tried on a path that is open to all, as nobody and as a person:
	// where the decision is missing or is about something else, nothing passes.
	orders := map[string]func(door, login, enforce, proxy map[string]any) []map[string]any{
		"proxy first":                   func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{p, d, l, e} },
		"proxy before enforce":          func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, p, e} },
		"no enforce":                    func(d, l, _, p map[string]any) []map[string]any { return []map[string]any{d, l, p} },
		"no door":                       func(_, l, e, p map[string]any) []map[string]any { return []map[string]any{l, e, p} },
		"door after enforce":            func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{e, d, l, p} },
		"door again after enforce":      func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, e, d, p} },
		"proxy alone":                   func(_, _, _, p map[string]any) []map[string]any { return []map[string]any{p} },
		"enforce and proxy":             func(_, _, e, p map[string]any) []map[string]any { return []map[string]any{e, p} },
		"rewrite after enforce":         func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, e, rewrite, p} },
		"prefix cut after enforce":      func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, e, prefix, p} },
		"method changed after enforce":  func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, e, method, p} },
		"rewrite between door, enforce": func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, rewrite, l, e, p} },
		"rewrite before enforce":        func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, rewrite, e, p} },
		"method changed before enforce": func(d, l, e, p map[string]any) []map[string]any { return []map[string]any{d, l, method, e, rewrite, p} },
		"query after rewrite of path": func(d, l, e, p map[string]any) []map[string]any {
			return []map[string]any{d, l, e, rewrite, query, prefix, p}
		},
		"the proxy's own rewrite": func(d, l, e, p map[string]any) []map[string]any {
			return []map[string]any{d, l, e, with(p, "rewrite", map[string]any{"uri": "/billing/accounts"})}
		},
		"the proxy's own method": func(d, l, e, p map[string]any) []map[string]any {
			return []map[string]any{d, l, e, with(p, "rewrite", map[string]any{"method": "DELETE"})}
		},
		"the proxy's own rewrite, twice": func(d, l, e, p map[string]any) []map[string]any {
			return []map[string]any{d, l, e, with(p, "rewrite", map[string]any{"uri": "/booking//x"})}
		},
	}
	seed := rig.Seed(t, rig.Document(t, "harbour"))
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			g := seed.Run(t, rig.Config{JSON: func(config map[string]any) {
				h := rig.Handlers(config)
				rig.SetHandlers(config, order(h[0], h[1], h[2], h[3])...)
			}})
			for _, protocol := range []string{"h1", "h2"} {
				for _, target := range []string{"/booking/x", "/booking/billing/accounts"} {
					for _, cookie := range []string{"", seed.Cookie(t, "harbour", "admin")} {
						request := rig.Request{Protocol: protocol, Host: rig.Host(g, "harbour"), Target: target, Cookie: cookie}
						answer := rig.Refuses(t, g, request, 500, 503, 401, 403)
						if cookie == "" {
							continue
						}
						if slices.Contains([]int{401, 403}, answer.Status) {
							t.Errorf("%s of a signed-in admin: %d, want the gateway's failure", target, answer.Status)
						}
					}
				}
			}
		})
	}
	t.Run("the right order", func(t *testing.T) {
		g := seed.Run(t, rig.Config{})
		rig.Passes(t, g, rig.Request{Host: rig.Host(g, "harbour"), Cookie: seed.Cookie(t, "harbour", "admin")})
	})
}

// with is a handler with one field more.
func with(handler map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range handler {
		out[k] = v
	}
	return out
}
