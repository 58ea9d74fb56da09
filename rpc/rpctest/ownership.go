package rpctest

import (
	"sync"

	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
)

// Alone is the ownership of a node that is no member of a cluster: it owns
// everything.
type Alone struct{ Solitary }

// Owns returns true.
func (Alone) Owns(string) bool { return true }

// Others returns none.
func (Alone) Others(string) []shard.Peer { return nil }

// Peers returns none.
func (Alone) Peers() []shard.Peer { return nil }

// Ring returns none, and nothing that would be closed.
func (Alone) Ring() (*ring.Ring, []shard.Peer, <-chan struct{}) { return nil, nil, nil }

// Hear does nothing.
func (Alone) Hear([]shard.Activity) {}

// View is a cluster as one node sees it, right or wrong.
type View struct {
	// Owns reports whether the node owns a tenant. Nil: it owns none.
	Owns func(tenant string) bool
	// Others are the other owners, of every tenant.
	Others []shard.Peer
	// Peers are the other members.
	Peers []shard.Peer
	// Ring and Members are the ring and its members.
	Ring    *ring.Ring
	Members []shard.Peer
}

// place is the view that a node has, as one who is alone if there is none.
type place struct {
	mu      sync.Mutex
	view    *View
	changed chan struct{}
	heard   []shard.Activity
}

// See gives the node another view.
func (p *place) See(v View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view = &v; p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

func (p *place) now() *View {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view
}

// Owns is that of the view.
func (p *place) Owns(tenant string) bool {
	v := p.now()
	return v == nil || v.Owns != nil && v.Owns(tenant)
}

// Others is that of the view.
func (p *place) Others(string) []shard.Peer {
	if v := p.now(); v != nil {
		return v.Others
	}
	return nil
}

// Holders are the others of the view.
func (n *Node) Holders(tenant string) []shard.Peer { return n.Others(tenant) }

// Peers is that of the view.
func (p *place) Peers() []shard.Peer {
	if v := p.now(); v != nil {
		return v.Peers
	}
	return nil
}

// Ring is that of the view.
func (p *place) Ring() (r *ring.Ring, members []shard.Peer, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	if p.view == nil {
		return nil, nil, p.changed
	}
	return p.view.Ring, p.view.Members, p.changed
}

// Hear keeps what it is told.
func (p *place) Hear(tenants []shard.Activity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, tenants...)
}

// Heard returns what the node was told so far, in order, and forgets it.
func (p *place) Heard() []shard.Activity {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.heard
	p.heard = nil
	return heard
}
