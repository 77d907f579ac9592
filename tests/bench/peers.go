package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"clinicgate/tests/bench/measure"
	"clinicgate/tests/bench/stage"
)

// peerTime is how long each peer is compared.
const peerTime = 30 * time.Second

// peersReport is the cost of others' products before the same backend; bare Caddy is 1.
type peersReport struct {
	Peers []peer `json:"peers"`
}

type peer struct {
	Name string      `json:"name"`
	Note string      `json:"note,omitempty"` // why there are no figures
	Cost proxyReport `json:"cost"`
}

// Table shows a row for each peer.
func (r peersReport) Table() measure.Table {
	t := measure.Table{Title: "CPU per request of peers, bare reverse_proxy = 1",
		Head: []string{"", "h1 µs", "h1 ratio", "h2 µs", "h2 ratio"}}
	for _, p := range r.Peers {
		if p.Note != "" {
			t.Notes = append(t.Notes, p.Name+": "+p.Note)
			continue
		}
		t.Add(p.Name, fmt.Sprintf("%.1f", p.Cost.H1.Cost.Median), fmt.Sprintf("%.3f", p.Cost.RatioH1),
			fmt.Sprintf("%.1f", p.Cost.H2.Cost.Median), fmt.Sprintf("%.3f", p.Cost.RatioH2))
	}
	return t
}

// runPeers compares each peer with bare Caddy.
func runPeers(ctx context.Context, b *bench) (report, error) {
	s, err := stage.New(b.binary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	backend, bare, err := s.StartBackendAndBare(ctx)
	if err != nil {
		return nil, err
	}
	starts := []struct {
		name  string
		start func() (contender, error)
	}{
		{"nginx", func() (contender, error) {
			p, err := s.StartNginx(ctx, backend.Addr)
			return contender{process: p, tree: true}, err
		}},
		{"apache + mod_auth_openidc", func() (contender, error) { return startApache(ctx, s, backend.Addr) }},
	}
	var r peersReport
	for _, row := range starts {
		side, err := row.start()
		if errors.Is(err, stage.ErrNoPeer) {
			r.Peers = append(r.Peers, peer{Name: row.name, Note: err.Error()})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		b.say("peers: %s", row.name)
		cost, err := compareBoth(ctx, backend, side, contender{process: bare, header: side.header}, peerTime)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		r.Peers = append(r.Peers, peer{Name: row.name, Cost: cost})
		_ = side.process.Stop()
	}
	return r, nil
}

// startApache starts it with its identity provider and signs in.
func startApache(ctx context.Context, s *stage.Stage, backend string) (contender, error) {
	op, err := s.StartProvider(ctx)
	if err != nil {
		return contender{}, err
	}
	p, err := s.StartApache(ctx, backend, op)
	if err != nil {
		return contender{}, err
	}
	cookie, err := s.SignInApache(ctx, p)
	return contender{process: p, header: []string{"Cookie: " + cookie}, tree: true}, err
}
