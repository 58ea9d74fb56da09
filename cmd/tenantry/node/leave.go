package node

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cluster"
)

// bounds are how long a node takes at most to join, and to leave.
type bounds struct {
	// warm bounds the wait for the tenants that it is going to own.
	warm time.Duration
	// drain bounds the time to hand over; linger is how long it serves at least from
	// then on when it is no longer ready, for whoever has not noticed.
	drain, linger time.Duration
}

// leaveTimeout bounds the wait for the others to have a ring without this node.
const leaveTimeout = 2 * time.Second

// leave hands over what this node holds, and returns when it may stop serving: all
// tenants are live on others, none of which forwards to it, and whoever sends
// requests has had the time to notice. Without others there is nothing to wait for.
func (n *Node) leave(ctx context.Context) {
	n.shard.Drain()
	ctx, cancel := context.WithTimeout(ctx, n.bounds.drain)
	defer cancel()
	began := time.Now()
	if !await(ctx, n.shard.HandedOver) {
		n.log.Warn("not everything could be handed over in time, others read the rest from the origin",
			"tenants", n.shard.Member().ActiveTenants, "drain_timeout", n.bounds.drain)
		return
	}
	leaving, stop := context.WithTimeout(ctx, leaveTimeout)
	defer stop()
	await(leaving, n.hasLeft)
	if n.RingMembers() > 0 {
		await(ctx, func() bool { return time.Since(began) >= n.bounds.linger })
	}
	n.log.Info("handed over", "took", time.Since(began).Round(time.Millisecond))
}

// await returns when done says so; false: ctx has ended.
func await(ctx context.Context, done func() bool) bool {
	ticker := time.NewTicker(tellInterval / 2)
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

// hasLeft reports whether the rings of all others are this node's, and it is in
// none.
func (n *Node) hasLeft() bool {
	epoch := n.shard.Epoch()
	for _, m := range n.cluster.Members() {
		switch {
		case m.Self || m.Reach.Gone() || m.State != cluster.Ready:
		case n.shard.Within() || m.Epoch != epoch:
			return false
		}
	}
	return true
}
