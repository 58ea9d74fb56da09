package node

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Nodes come, leave, crash and come back, and whoever asks does not notice.
func TestNodesComeAndGo(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		tenants := tenantsOf(60)
		stop := c.readers(6, tenants)
		c.subscribed(size)

		c.start(size + 1)
		c.agree(5 * time.Second)
		c.subscribed(size + 1)

		c.leave(c.houses[1])
		c.agree(5 * time.Second)
		c.subscribed(size)

		c.crash(c.houses[size])
		c.agree(10 * time.Second)
		c.subscribed(size - 1)

		c.start(size + 1) // again
		c.start(2)
		c.agree(10 * time.Second)
		c.subscribed(size + 1)
		stop()
		if n := len(c.bus.subscribers()); n != len(tenants) {
			c.Errorf("%d of %d tenants are active", n, len(tenants))
		}
	})
}

// The sides of a partition each keep answering, and are one again soon after it heals.
func TestPartition(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(size)
		a, b := c.houses[:(size+1)/2], c.houses[(size+1)/2:]
		c.gossip.Partition(gossipOf(a), gossipOf(b))
		c.links.Cut(rpcOf(a), rpcOf(b))
		c.agree(30*time.Second, a...)
		c.agree(30*time.Second, b...)
		time.Sleep(10 * time.Second)
		for _, side := range [][]*house{a, b} {
			for _, h := range side {
				if _, members, _ := h.shard.Ring(); len(members) != len(side) {
					c.Errorf("%s has a ring of %d", h.name, len(members))
				}
			}
		}
		c.gossip.Heal()
		c.links.Heal()
		c.agree(30 * time.Second)
		c.subscribed(size)
		stop()
	})
}

func gossipOf(houses []*house) (at []string) {
	for _, h := range houses {
		at = append(at, h.gossipAt)
	}
	return at
}

func rpcOf(houses []*house) (at []string) {
	for _, h := range houses {
		at = append(at, h.rpcAt)
	}
	return at
}

// Restarting one node after the other costs no read, however quickly it is done.
func TestRollingRestart(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(size)
		for i := range size {
			c.leave(c.houses[i])
			c.start(i + 1)
			if i%2 == 0 {
				c.agree(10 * time.Second)
			}
		}
		c.agree(10 * time.Second)
		c.subscribed(size)
		stop()
	})
}

// A node that crashes and is back before anybody has noticed has lost what it had.
func TestCrashThatNobodyNotices(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(size)
		c.crash(c.houses[size-1])
		c.start(size)
		stop() // so that only what it is told makes it active
		time.Sleep(3 * time.Second)
		c.agree(10 * time.Second)
		c.subscribed(size)
		if c.houses[size].shard.Active() == 0 {
			c.Error("it has no tenants")
		}
	})
}

// Most of a cluster ends at once, and the others answer.
func TestMostCrashAtOnce(t *testing.T) {
	for _, left := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(left, " of 9 are left"), func(t *testing.T) {
			inBubble(t, 9, func(c *town) {
				stop := c.readers(6, tenantsOf(60))
				c.subscribed(9)
				var busy sync.WaitGroup
				for _, h := range c.houses[left:] {
					busy.Go(func() { c.crash(h) })
				}
				busy.Wait()
				c.agree(30 * time.Second)
				c.subscribed(left)
				stop()
			})
		})
	}
}

// A node that stops, and goes on later, is gone meanwhile, or it is waited for; it is
// a member again either way.
func TestNodeThatStops(t *testing.T) {
	for _, lasts := range []time.Duration{2 * time.Second, 20 * time.Second} {
		t.Run(fmt.Sprint(lasts), func(t *testing.T) {
			inBubble(t, 5, func(c *town) {
				stop := c.readers(6, tenantsOf(60))
				c.subscribed(5)
				h := c.houses[2]
				h.set(false)
				c.gossip.Stall(h.gossipAt)
				h.host.Freeze()
				time.Sleep(lasts)
				c.gossip.Resume(h.gossipAt)
				h.host.Work(0)
				h.set(true)
				c.agree(30 * time.Second)
				c.subscribed(5)
				stop()
			})
		})
	}
}

// While the origin is down, what owners hold is answered by every node, also when the
// owners change meanwhile.
func TestWithoutOrigin(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		tenants := tenantsOf(60)
		t := &tally{}
		for _, tenant := range tenants {
			c.read(t, tenant)
		}
		time.Sleep(5 * time.Second)
		c.origin.set(true)
		time.Sleep(2 * bound)
		answered := func(when string) {
			for _, tenant := range tenants {
				for _, h := range c.serving() {
					if ready, _, _ := h.Readiness(); !ready {
						continue
					}
					asked := time.Now()
					_, err := h.client.Get(c.Context(), tenant, "cost", "a")
					if took := time.Since(asked); err != nil || took > time.Second {
						c.Errorf("%s: %s through %s took %v: %v", when, tenant, h.name, took, err)
					}
				}
			}
		}
		answered("all are there")
		c.start(size + 1)
		for range 10 {
			answered("one has joined")
			time.Sleep(100 * time.Millisecond)
		}
		c.agree(5 * time.Second)
		answered("it is in the ring")
		c.origin.set(false)
		c.subscribed(size + 1)
	})
}

// The ring is that of before when nodes lose the bus: one that loses it alone is not
// ready after a while, and answers all the same.
func TestTheBusIsNoMember(t *testing.T) {
	inBubble(t, 3, func(c *town) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(3)
		epoch := c.houses[0].shard.Epoch()
		ready := func(want ...bool) {
			c.Helper()
			for i, h := range c.houses {
				if got, reasons, _ := h.Readiness(); got != want[i] {
					c.Errorf("%s is ready: %v, %v", h.name, got, reasons)
				}
			}
		}
		c.houses[0].bus.set(false)
		time.Sleep(4 * time.Second)
		ready(true, true, true)
		time.Sleep(3 * time.Second)
		ready(false, true, true)
		c.houses[1].bus.set(false)
		c.houses[2].bus.set(false)
		time.Sleep(3 * time.Second)
		ready(true, true, true)
		time.Sleep(time.Minute)
		ready(true, true, true)
		for _, h := range c.houses {
			h.bus.set(true)
			time.Sleep(2 * time.Second)
			ready(true, true, true)
		}
		if c.houses[0].shard.Epoch() != epoch {
			c.Error("the ring is another")
		}
		c.subscribed(3)
		stop()
	})
}

// A node whose name is another's takes no place in the ring, and disturbs nobody.
func TestNameThatIsTaken(t *testing.T) {
	inBubble(t, 3, func(c *town) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(3)
		second := c.build("n2", 7)
		second.set(false)
		time.Sleep(30 * time.Second)
		if second.shard.Within() {
			c.Error("it has taken the place of the other")
		}
		c.agree(time.Second)
		c.subscribed(3)
		stop()
	})
}
