package directory

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"clinicgate/policy"
)

// build makes the Practice of a stored row. It never fails: what cannot be used is Broken and has no policy, so that its
// hosts are answered 503 and go to nobody else.
func build(r *row, platform policy.Platform) *Practice {
	p := &Practice{
		ID: r.Practice, Generation: r.Generation, Version: r.Version, Hosts: slices.Clip(r.hosts), Suspended: r.Suspended,
		revision: r.Revision,
	}
	compiled, err := usable(r, platform)
	if err != nil {
		p.Broken = err.Error()
		return p
	}
	p.Policy, p.Upstreams = compiled, compiled.Upstreams()
	return p
}

// usable compiles the policy of a row that is sound.
func usable(r *row, platform policy.Platform) (*policy.Policy, error) {
	if err := r.sound(); err != nil {
		return nil, err
	}
	compiled, err := compile(&r.version, platform)
	if err != nil {
		return nil, fmt.Errorf("version %d of the policy cannot be used: %w", r.Version, err)
	}
	if compiled.Practice() != r.Practice {
		return nil, fmt.Errorf("version %d of the policy is that of practice %s", r.Version, compiled.Practice())
	}
	hosts := compiled.Hosts()
	slices.Sort(hosts)
	if !slices.Equal(hosts, r.hosts) {
		return nil, fmt.Errorf("version %d of the policy has the hosts %v, but the registry gives it %v", r.Version, hosts, r.hosts)
	}
	return compiled, nil
}

// sound checks that the version that was read is what was written, and that it is this practice's (THREATS T6).
func (r *row) sound() error {
	v := &r.version
	switch {
	case v.Practice == "":
		return fmt.Errorf("version %d of the policy is missing: restore the registry from a backup", r.Version)
	case v.Practice != r.Practice || v.Number != r.Version || v.Generation != r.Generation:
		return fmt.Errorf("version %d of the policy belongs to %s version %d of generation %d, not %d: restore the registry from a backup",
			r.Version, v.Practice, v.Number, v.Generation, r.Generation)
	case !v.intact():
		return fmt.Errorf("version %d of the policy was altered outside the gateway: restore the registry from a backup", r.Version)
	}
	return nil
}

// buildAll builds the practices that are not removed, on all processors.
func buildAll(rows []*row, platform policy.Platform) []*Practice {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return r.Removed != 0 })
	practices := make([]*Practice, len(rows))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(rows)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(rows)); i = next.Add(1) - 1 {
				practices[i] = build(rows[i], platform)
			}
		})
	}
	workers.Wait()
	return practices
}
