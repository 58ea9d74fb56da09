package shard

import (
	"cmp"
	"maps"
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
	// Ready says that it owns tenants. One that is not joins, or leaves.
	Ready bool
}

// members is what the node asks of the cluster.
type members interface {
	// Alive returns the members that are not gone, this one among them.
	Alive() []Peer
	// Changed has something whenever Alive may return something else.
	Changed() <-chan struct{}
}

// view is the ring as this node sees it now, with the members to reach. It is
// immutable.
type view struct {
	name    string // of this node
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
	// alive are all members but this one, by ID.
	alive map[string]Peer
	// next is the ring with this node, which is not in it yet; nil: it is, or leaves.
	next *ring.Ring
	// past are the rings before, the newest first: their owners may hold tenants that
	// have moved.
	past []past
}

// past is a ring that was another's predecessor.
type past struct {
	ring  *ring.Ring
	peers []Peer
}

// maxPast bounds the rings that are remembered: members change one after the other,
// as in a rolling restart, faster than many tenants move.
const maxPast = 4

// owns reports whether this node is to hold a tenant. Where there is no ring, every
// node is an owner of everything: ownership is advice (C8).
func (v *view) owns(tenant string) bool {
	if v.ring == nil {
		return true
	}
	return v.within && slices.Contains(v.ring.Lookup(tenant), v.self)
}

// holds reports whether this node is to hold a tenant: it owns it, or will, once it
// has a place in the ring.
func (v *view) holds(tenant string) bool {
	if v.next == nil {
		return v.owns(tenant)
	}
	self, _ := v.next.Index(v.name)
	return slices.Contains(v.next.Lookup(tenant), self)
}

// sources returns the nodes that may hold a tenant: the primary of the ring before,
// which has been read most, then its other owners, then those that were its owners.
func (v *view) sources(tenant string) []Peer {
	var all []Peer
	add := func(p Peer) {
		now, alive := v.alive[p.ID]
		if alive && !slices.ContainsFunc(all, func(q Peer) bool { return p.ID == q.ID }) {
			all = append(all, now)
		}
	}
	if len(v.past) > 0 {
		before := &v.past[0]
		add(before.peers[before.ring.Lookup(tenant)[0]])
	}
	for _, p := range v.others(tenant) {
		add(p)
	}
	for _, p := range v.past {
		for _, owner := range p.ring.Lookup(tenant) {
			add(p.peers[owner])
		}
	}
	return all
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
	if v.past = before.past; before.ring != nil && before.epoch() != v.epoch() {
		v.past = append([]past{{before.ring, before.peers}}, v.past[:min(len(v.past), maxPast-1)]...)
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

// Peers returns the other members, those that join or leave among them, by name.
func (n *Node) Peers() []Peer {
	return slices.SortedFunc(maps.Values(n.view.Load().alive), func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
}

// Holds reports whether a tenant is active on this node, owned or not.
func (n *Node) Holds(tenant string) bool {
	_, ok := n.tenants.Load(tenant)
	return ok
}

// Sources returns the nodes to peek at for a tenant that is not settled here: being
// loaded, in doubt, or not held; none if it is.
func (n *Node) Sources(tenant string) []Peer {
	if n.cluster == nil {
		return nil
	}
	if t, ok := n.tenants.Load(tenant); ok && n.sound(t) {
		return nil
	}
	return slices.DeleteFunc(n.view.Load().sources(tenant), func(p Peer) bool { return !p.BusLive })
}

// Holders returns the other nodes that may hold a tenant: its owners, those that were,
// and those that join.
func (n *Node) Holders(tenant string) []Peer {
	v := n.view.Load()
	all := v.sources(tenant)
	for _, p := range v.alive {
		if !p.Ready && !slices.ContainsFunc(all, func(q Peer) bool { return p.ID == q.ID }) {
			all = append(all, p)
		}
	}
	return all
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
