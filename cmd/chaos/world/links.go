package world

import "github.com/tenantry/tenantry/cmd/chaos/proxy"

// SetBus begins a fault between all nodes and Redis.
func (w *World) SetBus(f proxy.Fault) {
	for _, n := range w.Nodes() {
		n.BusProxy.Set(f)
	}
}

// SetOrigin begins a fault between all nodes and the origin.
func (w *World) SetOrigin(f proxy.Fault) {
	for _, n := range w.Nodes() {
		n.OriginProxy.Set(f)
	}
}

// Way is a way between nodes.
type Way int

// The ways: what a node is sent, what it sends, and both.
const (
	To Way = iota
	From
	Both
	Ways
)

// String returns the word for histories.
func (w Way) String() string { return [...]string{"to", "from", "to and from"}[w] }

// SetGossip begins a fault of the gossip between some nodes and the others.
func (w *World) SetGossip(some []*Node, way Way, f proxy.Fault) {
	w.between(some, way, func(from, to *Node) { to.Gossip.Set(from.Name, f) })
}

// SetPeers begins a fault of the calls between some nodes and the others: a way
// is that of the calls, whose answers come back on it.
func (w *World) SetPeers(some []*Node, way Way, f proxy.Fault) {
	w.between(some, way, func(from, to *Node) { to.Peers.Set(from.Name, f) })
}

func (w *World) between(some []*Node, way Way, set func(from, to *Node)) {
	one := make(map[*Node]bool)
	for _, n := range some {
		one[n] = true
	}
	for _, a := range some {
		for _, b := range w.Nodes() {
			if one[b] {
				continue
			}
			if way != From {
				set(b, a)
			}
			if way != To {
				set(a, b)
			}
		}
	}
}
