package shard

import (
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// activate makes a tenant active and follows its channels; nil if others own it, a
// limit of the node is reached, or the origin does not know the tenant. Of several
// callers at once, one does. Following happens under the map's lock, so that it and
// letting go cannot overtake each other.
func (n *Node) activate(name string) *tenant { return n.activateAt(name, 0, n.activations.Allow) }

// activateIdle activates a tenant that was last read so long ago, elsewhere.
func (n *Node) activateIdle(name string, idle time.Duration) *tenant {
	return n.activateAt(name, idle, n.arrivals.Allow)
}

func (n *Node) activateAt(name string, idle time.Duration, allow func() bool) *tenant {
	t, _ := n.tenants.Compute(name, func(old *tenant, loaded bool) (*tenant, xsync.ComputeOp) {
		if loaded || !n.admit(name, allow) {
			return old, xsync.CancelOp
		}
		conn := n.bus.Conn(name)
		t := newTenant(name, n.cache.NewTenant(name, n.links[conn].Link), n.Now())
		t.cache.ReadLast(idle)
		n.bus.Follow(name)
		return t, xsync.UpdateOp
	})
	return t
}

// activateHeard activates a tenant that another owner told of.
func (n *Node) activateHeard(name string, idle time.Duration) *tenant {
	t := n.activateIdle(name, idle)
	if t != nil {
		t.heard(n.view.Load().audience)
	}
	return t
}

// admit takes a place among the active tenants. There is none once Run ends:
// it lets go of those that were stored before.
func (n *Node) admit(name string, allow func() bool) bool {
	if n.draining.Load() || !n.knowsOthers() || !n.view.Load().holds(name) || n.strangers.has(name) {
		return false
	}
	if n.active.Add(1) > n.limit && !n.preload[name] || !n.preload[name] && !allow() {
		n.active.Add(-1)
		n.metrics.refused.Inc()
		return false
	}
	return true
}

// letGo ends an activation: no more events, entries freed. A read that found
// it before reads through. It reports whether this call ended it.
func (n *Node) letGo(t *tenant) bool {
	if !t.drain(n.Now()) {
		return false
	}
	n.tenants.Compute(t.name, func(current *tenant, _ bool) (*tenant, xsync.ComputeOp) {
		if current != t {
			return current, xsync.CancelOp
		}
		n.bus.Unfollow(t.name)
		return nil, xsync.DeleteOp
	})
	t.cache.Close()
	n.active.Add(-1)
	return true
}

func (n *Node) letGoOfAll() {
	n.tenants.Range(func(_ string, t *tenant) bool {
		n.letGo(t)
		return true
	})
}

// forget lets go of a tenant of which the origin has no list, and remembers it
// for a while: whoever makes up names gets answers of the origin, and neither
// channels nor memory of this node.
func (n *Node) forget(t *tenant) {
	n.strangers.add(t.name)
	n.letGo(t)
}
