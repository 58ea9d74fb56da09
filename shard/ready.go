package shard

import (
	"fmt"
	"time"
)

// MemberState is where a node is in its life as a member.
type MemberState uint8

// The states of a member, in their order.
const (
	Joining   MemberState = iota // its bus has not been live yet, or its tenants are not
	Ready                        // it should be sent requests
	Departing                    // it is about to end
)

// String returns the state as metrics spell it.
func (s MemberState) String() string { return [...]string{"joining", "ready", "draining"}[s] }

// Member says how this node is as a member.
type Member struct {
	State MemberState
	// BusLive says that every connection of the bus is live now.
	BusLive bool
	// ActiveTenants is the number of tenants that are active, LoadingTenants of those
	// that are not live yet.
	ActiveTenants, LoadingTenants int
}

// Member describes this node.
func (n *Node) Member() Member {
	m := Member{BusLive: n.BusLive(), ActiveTenants: n.Active(), LoadingTenants: n.loading()}
	switch ready, _, _ := n.Readiness(); {
	case n.draining.Load():
		m.State = Departing
	case ready:
		m.State = Ready
	}
	return m
}

// BusLive reports whether every connection of the bus is live.
func (n *Node) BusLive() bool {
	for _, c := range n.bus.Status() {
		if !c.Live {
			return false
		}
	}
	return true
}

// MayOwn reports whether the node may be given tenants: it is warm, so that its bus
// has been live on every connection, and not about to end. Losing the bus later
// changes nothing (C8).
func (n *Node) MayOwn() bool { return n.warm.Load() && !n.draining.Load() }

// busPatience is how long a bus must have been lost before it counts that others
// have not lost theirs: by then they would have told. It is also what a bus may take
// to come back after the first of the others.
const busPatience = 5 * time.Second

// Readiness says whether the node should be sent requests: it is, once its bus
// has been live on every connection and it is in the ring, until it drains. The
// reasons say why it is not; degraded lists what is wrong with a node that stays
// ready, such as a bus that was lost later: reads are then answered from the
// origin. If another node's bus is live all the same, that one should be asked.
func (n *Node) Readiness() (ready bool, reasons, degraded []string) {
	if n.draining.Load() {
		reasons = append(reasons, "draining")
	}
	v := n.view.Load()
	if n.cluster != nil && !v.within {
		reasons = append(reasons, "not in the ring yet")
	}
	for i, c := range n.bus.Status() {
		if c.Live {
			continue
		}
		text := fmt.Sprintf("bus connection %d is not live", i)
		if c.Err != nil {
			text += ": " + c.Err.Error()
		}
		if c.Since.IsZero() || !v.busSince.IsZero() && time.Since(c.Since) > busPatience && time.Since(v.busSince) > busPatience {
			reasons = append(reasons, text)
		} else {
			degraded = append(degraded, text)
		}
	}
	return len(reasons) == 0, reasons, degraded
}
