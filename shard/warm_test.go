package shard

import (
	"context"
	"slices"
	"testing"
	"time"
)

// A node that joins is warm before it is in the ring, and nothing of it comes from the
// origin. The nodes that own less then let go of it, and no tenant is without a live
// owner at any time.
func TestAJoinCostsTheOriginNothing(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		old, joins, tenants := c.joining(200)
		reads, _ := c.asked()
		joins.node.Warm(c.Context(), 10*time.Second)
		for _, tenant := range tenants {
			if owned := slices.Contains(c.owners(tenant, c.hands...), "n4"); owned != (joins.node.State(tenant) == Live) {
				c.Fatalf("%s is %s on who joins, which will own it: %v", tenant, joins.node.State(tenant), owned)
			}
		}
		if !joins.node.MayOwn() || joins.node.Within() {
			t.Error("it is warm, and may not own")
		}
		c.become()
		for begun := time.Now(); time.Since(begun) < 3*time.Second; c.wait(20 * time.Millisecond) {
			c.liveSomewhere(tenants)
		}
		c.heldByOwners(tenants, c.hands...)
		c.wantKept(tenants, old, c.hands...)
		if again, lists := c.asked(); again != reads || lists > 0 {
			t.Errorf("the origin was asked for %d items and %d lists", again-reads, lists)
		}
	})
}

// A node warms what it is going to own also if it has just found the others, and its
// ring is not made yet.
func TestAJoinWarmsBeforeItsRingIsMade(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		old, joins := c.hands[:2], c.hands[2]
		joins.members.be(joins.peer)
		c.wait(time.Second)
		for _, h := range old {
			h.see(old...)
		}
		c.wait(time.Second)
		tenants := names(50)
		c.settle(tenants, old...)
		c.asked()
		joins.node.met.Store(false)
		early := c.tenant("that it will own", func(name string) bool { return slices.Contains(c.owners(name, c.hands...), "n3") && name >= "t60" })
		for _, tenant := range []string{tenants[0], early} {
			joins.read(tenant, "cost", "a") // a client came too early
		}
		if joins.node.Active() > 0 {
			t.Error("a tenant is active on a node that does not know the others")
		}
		c.become(joins)
		joins.node.Warm(c.Context(), 10*time.Second)
		for _, tenant := range tenants {
			if owned := slices.Contains(c.owners(tenant, c.hands...), "n3"); owned && joins.node.State(tenant) != Live {
				t.Errorf("%s is %s on who joins, and will own it", tenant, joins.node.State(tenant))
			}
		}
		if joins.node.State(early) == Cold {
			t.Errorf("%s is cold, though it was read, and will be owned", early)
		}
		if _, lists := c.asked(); lists > 0 {
			t.Errorf("the origin was asked for %d lists", lists)
		}
	})
}

// A join needs no origin.
func TestAJoinWhileTheOriginIsDown(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		old, joins, tenants := c.joining(50)
		for _, kind := range []string{"", "cost", "role"} {
			joins.origin.fail(kind, errDown)
		}
		joins.node.Warm(c.Context(), 10*time.Second)
		c.become()
		c.wait(3 * time.Second)
		c.heldByOwners(tenants, c.hands...)
		c.wantKept(tenants, old, c.hands...)
	})
}

// A node that ends while it warms ends.
func TestWarmEnds(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		old, joins, _ := c.joining(20)
		for _, h := range old {
			c.mates.delay(h.peer.ID, -1)
		}
		ctx, cancel := context.WithTimeout(c.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		joins.node.Warm(ctx, time.Minute)
		if took := time.Since(begun); took > 1100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		begun = time.Now()
		joins.node.Warm(c.Context(), 5*time.Second)
		if took := time.Since(begun); took > 5100*time.Millisecond || !joins.node.MayOwn() {
			t.Errorf("took %v", took)
		}
	})
}
