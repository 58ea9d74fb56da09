package shard

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/shard/ring"
)

// A burst of changes of the members, as when a rack fails, makes one ring: it is
// made when no more come for ringQuiet, or after ringPatience.
const (
	ringQuiet    = 100 * time.Millisecond
	ringPatience = time.Second
)

// followMembers keeps the ring that of the members.
func (n *Node) followMembers(ctx context.Context) error {
	for {
		n.renew(ctx)
		select {
		case <-n.cluster.Members.Changed():
		case <-ctx.Done():
			return nil
		}
		n.settle(ctx)
	}
}

// settle returns when the members have stopped changing.
func (n *Node) settle(ctx context.Context) {
	patience := time.NewTimer(ringPatience)
	defer patience.Stop()
	quiet := time.NewTimer(ringQuiet)
	defer quiet.Stop()
	for {
		select {
		case <-n.cluster.Members.Changed():
			quiet.Reset(ringQuiet)
		case <-quiet.C:
			return
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// renew makes the ring of the members and takes it for the node's.
func (n *Node) renew(ctx context.Context) {
	v, err := n.newView(ctx, n.cluster.Members.Alive())
	if err != nil {
		return // ctx has ended
	}
	before := n.view.Load()
	another := v.follow(before)
	n.view.Store(v)
	if before.epoch() != v.epoch() {
		n.log.Info("the ring is another", "epoch", v.epoch(), "members", len(v.peers), "partitions", len(n.mine(v)))
	}
	if another {
		n.moved()
	}
	if before.next != nil && v.next == nil { // what it would have owned
		poke(n.strayed)
	}
	close(before.changed)
}

// newView returns the view of the members. Its error is that of ctx.
func (n *Node) newView(ctx context.Context, members []Peer) (v *view, err error) {
	v = &view{name: n.cluster.Self, changed: make(chan struct{}), alive: make(map[string]Peer)}
	var ready, joining []Peer
	for _, p := range members {
		if p.Ready {
			ready = append(ready, p)
		}
		switch {
		case p.Name != v.name:
			v.alive[p.ID] = p
		case !p.Ready && !n.draining.Load():
			joining = append(joining, p)
		}
	}
	if len(ready) == 0 {
		return v, nil
	}
	if v.ring, err = n.cluster.Rings.Ring(ctx, ringMembers(ready)); err != nil {
		return nil, err
	}
	v.peers = inOrder(v.ring, ready)
	v.self, v.within = v.ring.Index(v.name)
	if len(joining) > 0 {
		v.next, err = n.cluster.Rings.Ring(ctx, ringMembers(append(ready, joining...)))
	}
	return v, err
}

// mine returns the partitions that this node owns, of whatever rank.
func (n *Node) mine(v *view) []int {
	gained, _ := ring.Changes(nil, v.ring, n.cluster.Self)
	return gained
}

func ringMembers(ready []Peer) []ring.Member {
	all := make([]ring.Member, len(ready))
	for i, p := range ready {
		all[i] = ring.Member{Name: p.Name, Zone: p.Zone}
	}
	return all
}

// inOrder returns the peers in the order of the ring's members.
func inOrder(r *ring.Ring, ready []Peer) []Peer {
	peers := make([]Peer, len(r.Members()))
	for _, p := range ready {
		if i, ok := r.Index(p.Name); ok {
			peers[i] = p
		}
	}
	return peers
}

// moved does what a new ring asks for: what is to be held is activated, and others
// are told of the tenants that they own now. What is not owned any longer is handed
// over; see [Node.handOver].
func (n *Node) moved() {
	n.preloadOwned()
	n.hearEarly()
	n.sharing.again()
	poke(n.strayed)
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// preloadOwned activates the tenants to preload that this node owns, once it is known
// which those are.
func (n *Node) preloadOwned() {
	if n.cluster != nil && !n.Within() {
		return
	}
	for name := range n.preload {
		n.activate(name)
	}
}
