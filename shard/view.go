package shard

import (
	"slices"
	"time"

	"github.com/tenantry/tenantry/shard/ring"
)

// Peer is a member of the cluster, as the others reach it.
type Peer struct {
	// ID is new at each start of the node, Name stays.
	ID, Name, Zone string
	// URL is that of its rpc port, such as "http://10.0.0.7:7070".
	URL string
	// Token is what it knows other nodes by.
	Token string
	// BusLive says that its bus is live, as far as it has told.
	BusLive bool
}

// members is what the node asks of the cluster.
type members interface {
	// Ready returns the members that own tenants, this one among them once it does.
	Ready() []Peer
	// Changed has something whenever Ready may return something else.
	Changed() <-chan struct{}
}

// view is the ring as this node sees it now, with the members to reach. It is
// immutable.
type view struct {
	ring    *ring.Ring
	self    uint32
	within  bool   // this node is a member of the ring
	peers   []Peer // in the order of the ring's members
	changed chan struct{}
	// audience is another number than before whenever the ring is another or a
	// member was started anew: what others were told, they may not know then.
	audience uint32
	// busSince is since when another member's bus is live; zero: none is.
	busSince time.Time
}

// owns reports whether this node is to hold a tenant. Where there is no ring, every
// node is an owner of everything: ownership is advice (C8).
func (v *view) owns(tenant string) bool {
	if v.ring == nil {
		return true
	}
	return v.within && slices.Contains(v.ring.Lookup(tenant), v.self)
}

// others returns the owners of a tenant but this node, the primary first.
func (v *view) others(tenant string) []Peer {
	if v.ring == nil {
		return nil
	}
	owners := v.ring.Lookup(tenant)
	others := make([]Peer, 0, len(owners))
	for _, owner := range owners {
		if owner != v.self || !v.within {
			others = append(others, v.peers[owner])
		}
	}
	return others
}

func (v *view) epoch() uint64 {
	if v.ring == nil {
		return 0
	}
	return v.ring.Epoch()
}

// follow makes v what comes after another view, and reports whether others have to be
// told again.
func (v *view) follow(before *view) (another bool) {
	another = before.epoch() != v.epoch() || !slices.EqualFunc(before.peers, v.peers, func(a, b Peer) bool { return a.ID == b.ID })
	v.audience = before.audience
	if another {
		v.audience++
	}
	if v.hasLiveBus() {
		if v.busSince = before.busSince; v.busSince.IsZero() {
			v.busSince = time.Now()
		}
	}
	return another
}

// hasLiveBus reports whether another member's bus is live.
func (v *view) hasLiveBus() bool {
	for i := range v.peers {
		if v.peers[i].BusLive && (uint32(i) != v.self || !v.within) {
			return true
		}
	}
	return false
}

// Cluster is what a [Node] that is not alone has. Every field is required.
type Cluster struct {
	// Self is the name of this node.
	Self string
	// Members are the nodes of the cluster.
	Members members
	// Rings makes the rings of the members.
	Rings *ring.Shared
	// Colleagues is how the others are told of tenants.
	Colleagues colleagues
}

// Join gives the node its cluster: it owns what the ring of the members gives it.
// It is called once, before Run; without it the node owns everything.
func (n *Node) Join(c Cluster) {
	n.cluster = &c
}

// Owns reports whether this node is an owner of a tenant, whatever its place.
func (n *Node) Owns(tenant string) bool { return n.view.Load().owns(tenant) }

// Others returns the other owners of a tenant, the primary first.
func (n *Node) Others(tenant string) []Peer { return n.view.Load().others(tenant) }

// Peers returns the other members of the ring, by name.
func (n *Node) Peers() []Peer {
	v := n.view.Load()
	peers := make([]Peer, 0, len(v.peers))
	for i, p := range v.peers {
		if uint32(i) != v.self || !v.within {
			peers = append(peers, p)
		}
	}
	return peers
}

// Ring returns the ring, nil if there is none, its members in their order, and what
// is closed as soon as there is another.
func (n *Node) Ring() (r *ring.Ring, members []Peer, changed <-chan struct{}) {
	v := n.view.Load()
	return v.ring, v.peers, v.changed
}

// Within reports whether this node is a member of the ring.
func (n *Node) Within() bool { return n.view.Load().within }

// Epoch is that of the ring; 0: there is none.
func (n *Node) Epoch() uint64 { return n.view.Load().epoch() }
