package node

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/subscriber"
)

// asked returns how many reads the origin has had.
func (s *source) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// still waits until no more reads of the origin come, and returns how many there were.
func (c *town) still() int {
	c.Helper()
	before := -1
	c.within(30*time.Second, "the origin is no longer asked", func() bool {
		now := c.origin.asked()
		same := now == before
		before = now
		time.Sleep(500 * time.Millisecond)
		return same
	})
	return before
}

// lively returns in how many states live a tenant is.
func (c *town) lively(tenant string) (n int) {
	for _, h := range c.houses {
		if h.shard.State(tenant) == shard.Live {
			n++
		}
	}
	return n
}

// warmed has every tenant read through every node, and live on its owners.
func (c *town) warmed(tenants []string) {
	c.Helper()
	for _, tenant := range tenants {
		for _, kind := range []string{"cost", "user"} {
			for _, h := range c.serving() {
				if _, err := h.client.Get(c.Context(), tenant, kind, "a"); err != nil {
					c.Errorf("%s %s through %s: %v", tenant, kind, h.name, err)
				}
			}
		}
	}
	c.within(10*time.Second, "all are live", func() bool {
		return !slices.ContainsFunc(tenants, func(tenant string) bool { return c.lively(tenant) < 2 })
	})
}

// Nodes that join and leave in order cost the origin nothing, and at no time is a
// tenant live on no node: through joins, leaves, and a rolling restart.
func TestMovesCostTheOriginNothing(t *testing.T) {
	inBubble(t, 3, func(c *town) {
		tenants := tenantsOf(60)
		c.warmed(tenants)
		before := c.still()
		watching := make(chan struct{})
		c.ends = append(c.ends, c.watch(tenants, watching))
		moves := func(what string, move func()) {
			c.Helper()
			move()
			c.agree(5 * time.Second)
			c.subscribed(len(c.serving()))
			if after := c.still(); after != before {
				c.Errorf("%s: the origin was asked %d times", what, after-before)
				before = after
			}
		}
		moves("join", func() { c.start(4) })
		moves("join", func() { c.start(5) })
		moves("leave", func() { c.leave(c.houses[1]) })
		moves("leave", func() { c.leave(c.houses[3]) })
		for _, i := range []int{0, 2, 4} {
			moves(fmt.Sprint("restart of n", i+1), func() {
				c.leave(c.houses[i])
				c.start(i + 1)
				c.agree(5 * time.Second)
			})
		}
		close(watching)
	})
}

// watch looks all the time whether every tenant is live somewhere.
func (c *town) watch(tenants []string, until <-chan struct{}) (ended func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-until:
				return
			case <-c.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
			c.mu.Lock()
			houses := slices.Clone(c.houses)
			c.mu.Unlock()
			for _, tenant := range tenants {
				if !slices.ContainsFunc(houses, func(h *house) bool { return h.shard.State(tenant) == shard.Live }) {
					c.Errorf("%s is live nowhere", tenant)
					return
				}
			}
		}
	}()
	return func() { <-done }
}

// Whatever happens to who hands over and who takes, in the end each tenant is held by
// its owners, and no caller has noticed.
func TestHandoffsThatAreDisturbed(t *testing.T) {
	for name, disturb := range map[string]func(c *town, leaves, takes *house){
		"who hands over dies":       func(c *town, leaves, _ *house) { c.crash(leaves) },
		"who takes over dies":       func(c *town, _, takes *house) { c.crash(takes) },
		"its bus is lost":           func(c *town, leaves, _ *house) { leaves.bus.set(false) },
		"the bus of a taker is":     func(c *town, _, takes *house) { takes.bus.set(false) },
		"another joins":             func(c *town, _, _ *house) { c.start(9) },
		"another leaves":            func(c *town, _, takes *house) { c.leave(takes) },
		"it is started again":       func(c *town, leaves, _ *house) {},
		"calls to it are lost":      func(c *town, leaves, takes *house) { c.links.Cut([]string{leaves.rpcAt}, []string{takes.rpcAt}) },
		"who hands over is stopped": func(c *town, leaves, _ *house) { c.stopFor(leaves, 10*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 5, func(c *town) {
				stop := c.readers(6, tenantsOf(60))
				c.subscribed(5)
				time.Sleep(time.Second)
				leaves, takes := c.houses[1], c.houses[3]
				leaving := make(chan struct{})
				go func() {
					defer close(leaving)
					leaves.leave(c.Context())
				}()
				time.Sleep(150 * time.Millisecond)
				leaves.set(false)
				disturb(c, leaves, takes)
				<-leaving
				leaves.host.Kill()
				leaves.stop()
				<-leaves.ended
				time.Sleep(5 * time.Second)
				c.links.Heal()
				takes.bus.set(true)
				houses := c.serving()
				c.agree(30*time.Second, houses...)
				c.subscribed(len(houses))
				stop()
			})
		})
	}
}

// stopFor stops a node for a while.
func (c *town) stopFor(h *house, d time.Duration) {
	c.gossip.Stall(h.gossipAt)
	h.host.Freeze()
	time.Sleep(d)
	c.gossip.Resume(h.gossipAt)
	h.host.Work(0)
}

// A node that joins and one that leaves need no origin: what was kept is, of reference
// kinds too, and what an event has made old is served as stale.
func TestMovesWithoutOrigin(t *testing.T) {
	inBubble(t, 4, func(c *town) {
		tenants := tenantsOf(60)
		c.warmed(tenants)
		c.still()
		c.origin.set(true)
		for _, tenant := range tenants[:30] {
			c.bus.publish(&subscriber.Event{Tenant: tenant, Topic: "costs", Changes: []subscriber.Change{
				{Kind: "user", Key: "a", Effect: subscriber.Invalidate},
			}})
		}
		time.Sleep(10 * time.Second)
		answered := func(when string) {
			for _, tenant := range tenants {
				for _, h := range c.serving() {
					for _, kind := range []string{"cost", "user"} {
						asked := time.Now()
						e, err := h.client.Get(c.Context(), tenant, kind, "a")
						if took := time.Since(asked); err != nil || took > time.Second {
							c.Errorf("%s: %s %s through %s took %v: %v, %v", when, tenant, kind, h.name, took, e, err)
						}
					}
				}
			}
		}
		answered("before")
		c.start(5)
		c.agree(20 * time.Second)
		answered("one has joined")
		c.leave(c.houses[0])
		answered("one has left")
		c.leave(c.houses[2])
		c.subscribed(3)
		answered("two have left")
	})
}

// A tenant that takes nearly all that one may is handed over as any other: the node that
// leaves is done in time, and no item of it is read from the origin.
func TestABigTenantMoves(t *testing.T) {
	inBubble(t, 3, func(c *town) {
		c.origin.big = "t0"
		c.warmed(tenantsOf(3))
		before := c.still()
		owner := c.houses[0].shard.Others("t0")[0].Name
		began := time.Now()
		c.leave(c.houses[slices.IndexFunc(c.houses, func(h *house) bool { return h.name == owner })])
		c.Logf("left after %v", time.Since(began))
		c.subscribed(2)
		for _, h := range c.serving() {
			for _, i := range []int{0, bigItems / 2, bigItems - 1} {
				e, err := h.client.Get(c.Context(), "t0", "cost", bigKey(i))
				if err != nil || e.Freshness.GetState() != tenantryv1.Freshness_FRESH || !bytes.Equal(e.Value, bigValue(i)) {
					c.Errorf("%s through %s: %.40v, %v", bigKey(i), h.name, e, err)
				}
			}
		}
		if after := c.still(); after != before {
			c.Errorf("the origin was asked %d times", after-before)
		}
	})
}

// All nodes restart at once: nobody is left to hand over to, nobody waits for anybody,
// and what was held is read from the origin again.
func TestAllRestartAtOnce(t *testing.T) {
	inBubble(t, 4, func(c *town) {
		tenants := tenantsOf(40)
		c.warmed(tenants)
		began := time.Now()
		done := make(chan struct{})
		for _, h := range c.houses {
			go func() { h.leave(c.Context()); done <- struct{}{} }()
		}
		for range c.houses {
			<-done
		}
		if took := time.Since(began); took > 5*time.Second {
			c.Errorf("leaving took %v", took)
		}
		for _, h := range c.houses {
			h.set(false)
			h.host.Kill()
			h.stop()
			<-h.ended
		}
		for i := range 4 {
			c.start(i + 1)
		}
		c.agree(15 * time.Second)
		c.warmed(tenants)
		c.subscribed(4)
	})
}
