package shard

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// warmPoll is the time between two looks at what is being waited for.
const warmPoll = 20 * time.Millisecond

// Warm activates the tenants that this node will own once it is in the ring, and
// returns when they are live: from then on [Node.MayOwn]. It is called when the cluster
// has formed; until then nothing is activated. It waits for the ring of the members for
// the given time at most, for the bus as long as that takes, and for the tenants again
// for the given time; the rest is loaded while the node serves. A node without others
// has nothing to wait for.
func (n *Node) Warm(ctx context.Context, atMost time.Duration) {
	n.meet(ctx, atMost)
	if !n.awaitBus(ctx) {
		return
	}
	defer n.warm.Store(true)
	v := n.view.Load()
	if v.next == nil {
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	coming := n.hearAll(ctx, v)
	total := len(coming)
	left := awaitLive(ctx, coming)
	n.log.Info("ready to own tenants", "warm", total-left, "not_yet", left, "took", time.Since(began).Round(time.Millisecond))
}

// meet returns when the ring is that of the members as they are: it follows them after
// a while. What others own need not be activated here, then.
func (n *Node) meet(ctx context.Context, atMost time.Duration) {
	if n.cluster == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if !poll(ctx, n.seesMembers) {
		n.log.Warn("the ring is not that of the members yet, going on without it", "after", atMost)
	}
	n.met.Store(true)
	if n.view.Load().ring != nil { // without one, nobody knows what is this node's
		n.hearEarly()
	}
}

// knowsOthers reports whether it is known who the others are, so that the ring says
// what this node owns. It stays.
func (n *Node) knowsOthers() bool { return n.cluster == nil || n.met.Load() }

// seesMembers reports whether the ring is that of the members as they are now.
func (n *Node) seesMembers() bool {
	v := n.view.Load()
	return !slices.ContainsFunc(n.cluster.Members.Alive(), func(p Peer) bool {
		seen, ok := v.alive[p.ID]
		return p.Name != n.cluster.Self && (!ok || seen.Ready != p.Ready)
	})
}

// awaitBus returns when the bus has been live on every connection; false: ctx has
// ended.
func (n *Node) awaitBus(ctx context.Context) bool {
	return poll(ctx, func() bool {
		for _, c := range n.bus.Status() {
			if c.Since.IsZero() {
				return false
			}
		}
		return true
	})
}

func poll(ctx context.Context, done func() bool) bool {
	ticker := time.NewTicker(warmPoll)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// hearAll asks all members of the ring for the tenants that are active there, and
// activates those that this node is going to own.
func (n *Node) hearAll(ctx context.Context, v *view) []*tenant {
	var mu sync.Mutex
	coming := make(map[*tenant]bool) // most are told by several
	var g errgroup.Group
	for _, peer := range v.peers {
		g.Go(func() error {
			var all []Activity
			err := n.cluster.Colleagues.Tenants(ctx, peer, func(page []Activity) { all = append(all, page...) })
			some := n.expect(ctx, all)
			mu.Lock()
			for _, t := range some {
				coming[t] = true
			}
			mu.Unlock()
			if err != nil && ctx.Err() == nil {
				n.log.Warn("a node did not say which tenants it has, they come when it does", "node", peer.Name, "error", err)
			}
			return nil
		})
	}
	_ = g.Wait()
	return slices.Collect(maps.Keys(coming))
}

// expect activates those of another node's tenants that are to be held here, at the pace
// of activations.
func (n *Node) expect(ctx context.Context, all []Activity) (coming []*tenant) {
	for _, a := range all {
		v := n.view.Load()
		t, held := n.tenants.Load(a.Tenant)
		if held && !t.arrived() {
			coming = append(coming, t) // a client was earlier
		}
		if held || !v.holds(a.Tenant) || a.Idle >= n.idleTimeout {
			continue
		}
		if n.arrivals.Wait(ctx) != nil {
			return coming
		}
		if t := n.activateAt(a.Tenant, a.Idle, func() bool { return true }); t != nil {
			coming = append(coming, t)
		}
	}
	return coming
}

// awaitLive returns when all tenants are live or have been let go, or ctx ends, and
// how many are neither.
func awaitLive(ctx context.Context, tenants []*tenant) (left int) {
	poll(ctx, func() bool {
		tenants = slices.DeleteFunc(tenants, (*tenant).arrived)
		return len(tenants) == 0
	})
	return len(tenants)
}

// arrived reports whether the tenant is live, or is no longer to become so.
func (t *tenant) arrived() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state >= Live
}

// Tenants gives the tenants that are active here, the most read first, to a node that
// joins, in pages. An error of page ends it.
func (n *Node) Tenants(page func([]Activity) error) error {
	all := activities(n.held())
	for len(all) > 0 {
		end := min(len(all), tenantsAtOnce)
		if err := page(all[:end]); err != nil {
			return err
		}
		all = all[end:]
	}
	return nil
}

// tenantsAtOnce is how many tenants are in a page.
const tenantsAtOnce = 1000
