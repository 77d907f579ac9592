package directory

import (
	"sync/atomic"

	"clinicgate/policy"
)

// Practice is one practice as it was at one moment. It never changes: a change puts another Practice in its place, so a
// request that holds on to one sees a single policy from its beginning to its end. Do not write to its slices.
// The zero Practice is unusable: without a Policy everything is denied.
type Practice struct {
	ID         policy.PracticeID
	Generation int64          // 1; one more each time the id is created again after a removal (THREATS T5)
	Version    int64          // of the policy in force
	Policy     *policy.Policy // nil when Broken
	Hosts      []string       // lower case, sorted
	Upstreams  []string       // host:port; the practice's own or its region's
	Suspended  bool           // nobody is let in, live sessions stop
	Broken     string         // why the stored policy cannot be used, for operators; answer 503; "" when it can be used

	revision int64
	slots    atomic.Pointer[slotNode]
}

// Slot holds one prepared value of type T next to a Practice: what is made of a policy once and used by every request.
// It is gone with the Practice it belongs to, so it cannot outlive the policy it was made of.
type Slot[T any] struct{ value atomic.Pointer[T] }

// Load returns the value, or nil when there is none yet.
func (s *Slot[T]) Load() *T { return s.value.Load() }

// Store replaces the value.
func (s *Slot[T]) Store(v *T) { s.value.Store(v) }

type slotNode struct {
	slot any // *Slot[T]
	next *slotNode
}

// SlotOf returns p's slot for values of type T, one per type. After the first call it takes no lock and allocates nothing.
func SlotOf[T any](p *Practice) *Slot[T] {
	head := p.slots.Load()
	if s := findSlot[T](head); s != nil {
		return s
	}
	s := new(Slot[T])
	for !p.slots.CompareAndSwap(head, &slotNode{s, head}) {
		head = p.slots.Load()
		if other := findSlot[T](head); other != nil {
			return other
		}
	}
	return s
}

func findSlot[T any](n *slotNode) *Slot[T] {
	for ; n != nil; n = n.next {
		if s, ok := n.slot.(*Slot[T]); ok {
			return s
		}
	}
	return nil
}
