package directory

import (
	"cmp"
	"slices"

	"clinicgate/policy"
)

// index is all practices at one moment. It is immutable: with makes another one.
type index struct {
	byHost table
	byID   table
	all    []*Practice // ordered by id
}

// change puts a Practice in the place of the one with its id; a nil practice takes it away.
type change struct {
	id       policy.PracticeID
	practice *Practice
	retired  bool // the one it had was of a generation that is over
}

func newIndex(practices []*Practice) *index {
	x := &index{all: slices.Clip(practices)}
	slices.SortFunc(x.all, func(a, b *Practice) int { return cmp.Compare(a.ID, b.ID) })
	hosts, ids := x.byHost.edit(), x.byID.edit()
	for _, p := range x.all {
		ids.set(string(p.ID), p)
		for _, host := range p.Hosts {
			hosts.set(host, p)
		}
	}
	return x
}

// with returns the index after the changes. Hosts are taken away before any is given, so that a host that moves from
// one practice to another is never without one or with the wrong one.
func (x *index) with(changes []change) *index {
	next := &index{byHost: x.byHost, byID: x.byID, all: slices.Clone(x.all)}
	hosts, ids := next.byHost.edit(), next.byID.edit()
	for _, c := range changes {
		old := x.byID.get(string(c.id))
		if old == nil {
			continue
		}
		for _, host := range old.Hosts {
			if x.byHost.get(host) == old { // another practice may have it by now
				hosts.remove(host)
			}
		}
		ids.remove(string(c.id))
	}
	for _, c := range changes {
		if c.practice == nil {
			continue
		}
		ids.set(string(c.id), c.practice)
		for _, host := range c.practice.Hosts {
			hosts.set(host, c.practice)
		}
	}
	for _, c := range changes {
		next.place(c)
	}
	next.all = slices.Clip(next.all)
	return next
}

// place keeps the ordered list right.
func (x *index) place(c change) {
	i, found := slices.BinarySearchFunc(x.all, c.id, func(p *Practice, id policy.PracticeID) int { return cmp.Compare(p.ID, id) })
	switch {
	case found && c.practice != nil:
		x.all[i] = c.practice
	case found:
		x.all = slices.Delete(x.all, i, i+1)
	case c.practice != nil:
		x.all = slices.Insert(x.all, i, c.practice)
	}
}
